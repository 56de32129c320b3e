//! See `dirsync_fuzz::record`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::record(data));
