//! See `dirsync_fuzz::mail`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::mail(data));
