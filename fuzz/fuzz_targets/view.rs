//! See `dirsync_fuzz::view`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::view(data));
