//! See `dirsync_fuzz::cell`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::cell(data));
