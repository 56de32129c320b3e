//! See `dirsync_fuzz::schedule`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::schedule(data));
