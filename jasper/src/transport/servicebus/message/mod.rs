//! Envelopes as messages of the protocol, and messages as envelopes.

mod death;
mod fields;
mod foreign;
mod letter;
mod read;
mod value;
mod write;

pub(super) use self::death::{Death, death};
pub(super) use self::fields::{DEATH_DESCRIPTION, DEATH_REASON};
pub(super) use self::foreign::{foreign, from_foreign};
pub(super) use self::letter::Letter;
pub(super) use self::read::{guarantee, locked_until, payload, read};
pub(super) use self::value::{entry, number, property, text_property};
pub(super) use self::write::{Outgoing, letter_of, properties_map, write};
