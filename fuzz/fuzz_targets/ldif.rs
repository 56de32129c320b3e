//! See `dirsync_fuzz::ldif`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::ldif(data));
