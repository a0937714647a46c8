//! What a message has to be, so that it can travel.

use serde::{Serialize, de::DeserializeOwned};

use super::Encodable;

/// What a codec can write and read: every type that is `Serialize` and `Deserialize`, and that owns
/// what is in it.
///
/// `serde`'s traits are not above this one: a message that derives neither would be told so twice.
#[diagnostic::on_unimplemented(
    message = "the message `{Self}` cannot be encoded and decoded",
    label = "not `Serialize`, not `Deserialize`, not `Send`, or it borrows",
    note = "derive both beside the message: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "a message owns what is in it: `String`, not `&str`"
)]
pub trait Payload: Send + Sized + 'static {
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
impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {
    fn encodable(&self) -> &dyn Encodable {
        self
    }

    fn read(
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<Self, erased_serde::Error> {
        erased_serde::deserialize(deserializer)
    }
}
