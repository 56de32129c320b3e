//! See `dirsync_fuzz::vcard`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dirsync_fuzz::vcard(data));
