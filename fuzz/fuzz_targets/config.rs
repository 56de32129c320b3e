//! See `dirsync_fuzz::config`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::config(data));
