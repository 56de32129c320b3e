//! See `dirsync_fuzz::sealed_message`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::sealed_message(data));
