//! See `dirsync_fuzz::fragment`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::fragment(data));
