//! How much an envelope holds beside its payload: the same for its writers and its readers.

use super::{Envelope, Headers};

/// The most bytes that each text field of an envelope may take: the correlation id, the tenant, a
/// deduplication key, an address and so on.
pub const MAX_FIELD_BYTES: usize = 1024;

/// The most loose headers that an envelope may carry.
pub const MAX_HEADERS: usize = 64;

/// The most bytes that the loose headers of an envelope may take together: names, values, and 4
/// bytes for each.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// An envelope holds more than one may, so that no reader would take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Excess {
    /// A text field is too long.
    #[error(
        "its {field} takes {bytes} bytes, and {MAX_FIELD_BYTES} is the most; \
         put what is longer into the message itself"
    )]
    Field {
        /// The field's name.
        field: &'static str,
        /// How many bytes it takes.
        bytes: usize,
    },
    /// There are too many headers.
    #[error(
        "it has {count} headers, and {MAX_HEADERS} is the most; \
         put what belongs to its content into the message itself"
    )]
    Headers {
        /// How many there are.
        count: usize,
    },
    /// The headers are too large together.
    #[error(
        "its headers take {bytes} bytes, and {MAX_HEADER_BYTES} is the most; \
         put what is longer into the message itself"
    )]
    HeaderBytes {
        /// How many bytes they take.
        bytes: usize,
    },
    /// The payload is longer than the binary form can say.
    #[error("its payload takes {bytes} bytes, and 4 GiB is the most; send where it is stored")]
    Payload {
        /// How many bytes it takes.
        bytes: usize,
    },
}

impl Excess {
    /// Refuses a text field that is too long.
    pub(crate) const fn check_field(field: &'static str, text: Option<&str>) -> Result<(), Self> {
        match text {
            Some(text) if text.len() > MAX_FIELD_BYTES => {
                Err(Self::Field { field, bytes: text.len() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses headers that are too many or too large.
    pub(crate) fn check_headers(headers: &Headers) -> Result<(), Self> {
        let (count, sizes) = (headers.len(), headers.iter().map(|(n, v)| header_bytes(n, v)));
        if count > MAX_HEADERS {
            return Err(Self::Headers { count });
        }
        match sizes.sum() {
            bytes if bytes > MAX_HEADER_BYTES => Err(Self::HeaderBytes { bytes }),
            _ => Ok(()),
        }
    }
}

/// What a header takes of the [most](MAX_HEADER_BYTES) for all.
pub(super) const fn header_bytes(name: &str, value: &str) -> usize {
    4 + name.len() + value.len()
}

impl Envelope {
    /// Whether every reader takes it: its text fields, its headers and its payload are within their
    /// limits.
    ///
    /// # Errors
    /// The first of them that is not.
    pub fn check(&self) -> Result<(), Excess> {
        let message_type = self.message_type.to_string();
        let fields = [
            ("content type", Some(&*self.content_type)),
            ("destination", Some(self.destination.as_str())),
            ("source (the name of the service)", self.source.as_deref()),
            ("reply-to", self.reply_to.as_ref().map(|address| address.as_str())),
            ("correlation id", self.correlation_id.as_deref()),
            ("traceparent", self.traceparent.as_deref()),
            ("saga id", self.saga_id.as_deref()),
            ("tenant id", self.tenant_id.as_deref()),
            ("group id", self.group_id.as_deref()),
            ("deduplication key", self.deduplication_id.as_deref()),
            ("message type", Some(&*message_type)),
        ];
        fields.into_iter().try_for_each(|(field, text)| Excess::check_field(field, text))?;
        Excess::check_headers(&self.headers)?;
        match u32::try_from(self.payload.len()) {
            Ok(_) => Ok(()),
            Err(_) => Err(Excess::Payload { bytes: self.payload.len() }),
        }
    }
}
