//! See `dirsync_fuzz::head`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::head(data));
