//! What the reply of a command has to be where it travels.

use serde::{Serialize, de::DeserializeOwned};

/// Not public API. Compiles for a reply that can be encoded.
#[doc(hidden)]
pub const fn is_encodable_reply<R: EncodableReply>() {}

/// Not public API. Compiles for a reply that can be decoded.
#[doc(hidden)]
pub const fn is_decodable_reply<R: DecodableReply>() {}

/// Not public API. `Serialize`, in the words of a command with `to`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the reply of a command with `to` travels encoded, and `{Self}` is not `Serialize`",
    label = "does not derive `Serialize`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`, as for the command \
            itself"
)]
pub trait EncodableReply {}

#[diagnostic::do_not_recommend]
impl<R: Serialize> EncodableReply for R {}

/// Not public API. `DeserializeOwned`, in the words of a command with `to`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the reply of a command with `to` travels encoded, and `{Self}` is not \
               `Deserialize`",
    label = "does not derive `Deserialize`, or borrows",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`, as for the command \
            itself",
    note = "a reply owns what is in it: `String`, not `&str`"
)]
pub trait DecodableReply {}

#[diagnostic::do_not_recommend]
impl<R: DeserializeOwned> DecodableReply for R {}
