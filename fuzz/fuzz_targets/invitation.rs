//! See `dirsync_fuzz::invitation`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::invitation(data));
