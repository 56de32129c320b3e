//! See `dirsync_fuzz::csv`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::csv(data));
