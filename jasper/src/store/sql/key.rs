//! The key of a row, and what became of rows that were inserted, by the keys of the new ones.

use std::collections::HashSet;

use crate::envelope::{Address, Envelope, MessageId};
use crate::store::{Inserted, Ownership};

/// What a row is found by.
pub(crate) type Key = (MessageId, Address);

/// The key of a row that is held.
pub(crate) fn key_of(row: &Ownership) -> Key {
    (row.id, row.destination.clone())
}

/// The key of the row of an envelope.
pub(crate) fn key_for(envelope: &Envelope) -> Key {
    (envelope.id, envelope.destination.clone())
}

/// What became of a row, given the keys that were new. A key that stands twice was new once.
pub(crate) fn inserted(envelope: &Envelope, new: &mut HashSet<Key>) -> Inserted {
    if new.remove(&key_for(envelope)) { Inserted::New } else { Inserted::Duplicate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_was_new_once() {
        let envelope = || {
            let message_type = "test.message@1".parse().expect("a type");
            let to = Address::local("queue", "handler");
            Envelope::new(message_type, "application/json", "{}".into(), to)
        };
        let [one, other] = [envelope(), envelope()];
        let mut new = HashSet::from([key_for(&one)]);
        let became = [&one, &other, &one].map(|envelope| inserted(envelope, &mut new));
        assert_eq!(became, [Inserted::New, Inserted::Duplicate, Inserted::Duplicate]);
    }
}
