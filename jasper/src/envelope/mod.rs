//! The wrapper in which a message travels: its identity, where it goes, and what belongs to it.

mod address;
mod binary;
mod fields;
mod headers;
mod id;
mod limits;
pub mod time;

pub use self::address::{Address, AddressError};
pub use self::binary::DecodeError;
pub use self::fields::Envelope;
pub use self::headers::Headers;
pub use self::id::MessageId;
pub(crate) use self::limits::bytes_with;
pub use self::limits::{Excess, MAX_FIELD_BYTES, MAX_HEADER_BYTES, MAX_HEADERS};
