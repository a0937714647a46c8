//! Any bytes in the place of what a connection brings.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| jasper::testing::fuzz::frame(bytes));
