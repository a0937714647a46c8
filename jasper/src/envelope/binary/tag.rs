//! The numbers in the binary form.

/// The first byte of every envelope.
pub(super) const VERSION: u8 = 1;

// The number of each field. A number is never used again for something else.
pub(super) const ID: u8 = 1;
pub(super) const MESSAGE_TYPE: u8 = 2;
pub(super) const CONTENT_TYPE: u8 = 3;
pub(super) const PAYLOAD: u8 = 4;
pub(super) const HEADER: u8 = 5;
pub(super) const DESTINATION: u8 = 6;
pub(super) const SOURCE: u8 = 7;
pub(super) const REPLY_TO: u8 = 8;
pub(super) const CORRELATION_ID: u8 = 9;
pub(super) const CONVERSATION_ID: u8 = 10;
pub(super) const CAUSATION_ID: u8 = 11;
pub(super) const TRACEPARENT: u8 = 12;
pub(super) const SAGA_ID: u8 = 13;
pub(super) const TENANT_ID: u8 = 14;
pub(super) const GROUP_ID: u8 = 15;
pub(super) const DEDUPLICATION_ID: u8 = 16;
pub(super) const SENT_AT: u8 = 17;
pub(super) const DELIVER_BY: u8 = 18;
pub(super) const DUE_AT: u8 = 19;
pub(super) const ATTEMPTS: u8 = 20;
pub(super) const REDELIVERED: u8 = 21;
pub(super) const PEER: u8 = 22;
