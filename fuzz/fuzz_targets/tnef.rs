//! See `dirsync_fuzz::tnef`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::tnef(data));
