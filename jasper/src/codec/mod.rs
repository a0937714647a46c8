//! How a message becomes bytes and comes back.

mod decode;
mod format;
#[cfg(feature = "json")]
mod json;

pub use self::decode::decode;
pub(crate) use self::decode::decode_as;
pub use self::format::{Codec, CodecError, Visit};
#[cfg(feature = "json")]
pub use self::json::Json;
