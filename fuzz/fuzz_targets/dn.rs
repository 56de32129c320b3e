//! See `dirsync_fuzz::dn`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::dn(data));
