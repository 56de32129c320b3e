//! See `dirsync_fuzz::guid`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::guid(data));
