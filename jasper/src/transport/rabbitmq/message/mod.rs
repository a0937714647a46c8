//! Envelopes as messages of the protocol, and messages as envelopes.

mod fields;
mod read;
mod write;

pub(super) use self::read::{guarantee, read};
pub(super) use self::write::{Outgoing, properties};
