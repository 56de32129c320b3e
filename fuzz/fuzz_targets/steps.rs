//! See `dirsync_fuzz::steps`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::steps(data));
