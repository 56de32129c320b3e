//! See `dirsync_fuzz::tokens`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::tokens(data));
