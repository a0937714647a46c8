//! The functions for fuzzers, on what chance brings in the time of a test.

use jasper::testing::fuzz;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::raw::{batch, bytes_of, frame};
use crate::receiver::envelope;

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..2_000)) {
        fuzz::envelope(&bytes);
        fuzz::frame(&bytes);
    }

    #[test]
    fn arbitrary_bodies_of_every_kind_are_read_without_harm(
        kind in 0..14_u8,
        body in vec(prop_oneof![Just(0_u8), 0..4_u8, any::<u8>()], 0..200),
    ) {
        fuzz::frame(&frame(kind, &body));
    }

    #[test]
    fn a_batch_with_changed_bytes_is_read_without_harm(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        payload in vec(any::<u8>(), 0..50),
    ) {
        let one = bytes_of(&envelope("take", payload));
        let mut bytes = batch(7, &[one.clone(), Vec::new(), one]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzz::frame(&bytes);
    }
}
