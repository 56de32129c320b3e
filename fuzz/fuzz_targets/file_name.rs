//! See `dirsync_fuzz::file_name`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::file_name(data));
