//! See `dirsync_fuzz::link`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::link(data));
