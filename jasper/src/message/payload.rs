//! What a message has to be, so that it can travel.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::encodable::Encodable;

/// What a codec can write and read: every type that is `Serialize` and `Deserialize`, and that owns
/// what is in it.
///
/// `serde`'s traits are not above this one: for a type without both there would be two errors.
#[diagnostic::on_unimplemented(
    message = "the message `{Self}` cannot be encoded and decoded",
    label = "not `Serialize`, not `Deserialize`, or it borrows",
    note = "derive both beside the message: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "a message owns what is in it: `String`, not `&str`"
)]
pub trait Payload: Sized + 'static {
    /// As a codec takes it to write it.
    fn encodable(&self) -> &dyn Encodable;

    /// Reads a value of this type.
    ///
    /// # Errors
    /// What is read is not of this type.
    fn read(
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<Self, erased_serde::Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Payload for T {
    fn encodable(&self) -> &dyn Encodable {
        self
    }

    fn read(
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<Self, erased_serde::Error> {
        erased_serde::deserialize(deserializer)
    }
}

/// How the messages of a type are written and read. Made by [`encoding`].
pub struct Encoding<M> {
    encodable: fn(&M) -> &dyn Encodable,
    read: Read<M>,
}

type Read<M> = fn(&mut dyn erased_serde::Deserializer<'_>) -> Result<M, erased_serde::Error>;

/// The [`Encoding`] of a message whose type is `Serialize` and `Deserialize`.
pub const fn encoding<M: Payload>() -> Encoding<M> {
    Encoding { encodable: M::encodable, read: M::read }
}

impl<M> Encoding<M> {
    pub(crate) fn encodable<'m>(&self, message: &'m M) -> &'m dyn Encodable {
        (self.encodable)(message)
    }

    pub(crate) fn read(
        &self,
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<M, erased_serde::Error> {
        (self.read)(deserializer)
    }
}

impl<M> fmt::Debug for Encoding<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoding").finish_non_exhaustive()
    }
}
