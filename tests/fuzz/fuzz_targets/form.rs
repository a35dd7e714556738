#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| deploy_cgi_fuzz::form(data));
