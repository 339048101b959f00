#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pellucid_fuzz::notation(bytes));
