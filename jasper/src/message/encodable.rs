//! What a codec is given to write: a value whose type can also be read.

use serde::{Serialize, de::DeserializeOwned};

/// A message or a reply, as a [`Codec`](crate::codec::Codec) is given it to encode. Every type that
/// is `Serialize` and `Deserialize` is one.
pub trait Encodable: erased_serde::Serialize {
    /// Reads another value of the same type: by it a codec finds out whether what it has written
    /// can be read.
    ///
    /// # Errors
    /// What is read is not of the type.
    fn read_another(
        &self,
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<Box<dyn Encodable>, erased_serde::Error>;
}

impl<T: Serialize + DeserializeOwned + 'static> Encodable for T {
    fn read_another(
        &self,
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<Box<dyn Encodable>, erased_serde::Error> {
        let another: T = erased_serde::deserialize(deserializer)?;
        Ok(Box::new(another))
    }
}

erased_serde::serialize_trait_object!(Encodable);
