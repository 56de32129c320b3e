//! See `dirsync_fuzz::body`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::body(data));
