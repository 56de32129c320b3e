//! See `dirsync_fuzz::decision`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::decision(data));
