//! See `dirsync_fuzz::key_statement`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::key_statement(data));
