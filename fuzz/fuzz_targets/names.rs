//! See `dirsync_fuzz::names`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::names(data));
