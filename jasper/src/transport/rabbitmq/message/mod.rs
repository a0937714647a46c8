//! Envelopes as messages of the protocol, and messages as envelopes.

mod death;
mod fields;
mod foreign;
mod read;
mod write;

pub(super) use self::death::{Death, death};
pub(super) use self::fields::REFUSED;
pub(super) use self::foreign::{foreign, from_foreign};
pub(super) use self::read::{guarantee, read};
pub(super) use self::write::{Outgoing, properties};
