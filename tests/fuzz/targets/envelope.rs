//! Any bytes in the place of an envelope.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| jasper::testing::fuzz::envelope(bytes));
