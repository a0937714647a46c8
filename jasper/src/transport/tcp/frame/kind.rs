//! The numbers of the kinds. A number is never used again for something else.

pub(super) const HELLO: u8 = 1;
pub(super) const WELCOME: u8 = 2;
pub(super) const PROOF: u8 = 3;
pub(super) const READY: u8 = 4;
pub(super) const REJECTED: u8 = 5;
pub(super) const BATCH: u8 = 6;
pub(super) const RECEIPTS: u8 = 7;
pub(super) const REQUEST: u8 = 8;
pub(super) const ANSWER: u8 = 9;
pub(super) const PING: u8 = 10;
pub(super) const PONG: u8 = 11;
pub(super) const BYE: u8 = 12;
