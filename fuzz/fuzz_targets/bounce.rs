//! See `dirsync_fuzz::bounce`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::bounce(data));
