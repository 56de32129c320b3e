//! See `dirsync_fuzz::map`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::map(data));
