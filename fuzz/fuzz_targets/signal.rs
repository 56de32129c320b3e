//! See `dirsync_fuzz::signal`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::signal(data));
