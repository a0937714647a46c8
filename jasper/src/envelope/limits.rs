//! How much an envelope holds beside its payload: the same for its writers and its readers.

use super::fields::Envelope;
use super::headers::Headers;

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
            Some(text) => Self::check_len(field, text.len()),
            None => Ok(()),
        }
    }

    const fn check_len(field: &'static str, bytes: usize) -> Result<(), Self> {
        if bytes > MAX_FIELD_BYTES { Err(Self::Field { field, bytes }) } else { Ok(()) }
    }

    /// Refuses headers that are too many or too large.
    pub(crate) fn check_headers(headers: &Headers) -> Result<(), Self> {
        let count = headers.len();
        if count > MAX_HEADERS {
            return Err(Self::Headers { count });
        }
        match headers.bytes() {
            bytes if bytes > MAX_HEADER_BYTES => Err(Self::HeaderBytes { bytes }),
            _ => Ok(()),
        }
    }
}

/// What a message takes beside its texts and its payload, about.
const OVERHEAD: usize = 1024;

/// About how many bytes a message takes with these headers and this payload.
pub(crate) fn bytes_with(headers: &Headers, payload: usize) -> usize {
    OVERHEAD + headers.bytes() + payload
}

impl Envelope {
    /// Whether every reader takes it: its text fields, its headers and its payload are within their
    /// limits.
    ///
    /// # Errors
    /// The first of them that is not.
    pub fn check(&self) -> Result<(), Excess> {
        let mut fields = self.fields().into_iter();
        fields.try_for_each(|(field, text)| Excess::check_field(field, text))?;
        Excess::check_len("message type", self.message_type.text_len())?;
        Excess::check_headers(&self.headers)?;
        match u32::try_from(self.payload.len()) {
            Ok(_) => Ok(()),
            Err(_) => Err(Excess::Payload { bytes: self.payload.len() }),
        }
    }

    /// About how many bytes it takes in memory; no fewer than its binary form has.
    pub(crate) fn bytes(&self) -> usize {
        let texts = self
            .fields()
            .into_iter()
            .filter_map(|(_, text)| text)
            .chain([self.message_type.name()])
            .map(str::len);
        bytes_with(&self.headers, self.payload.len()) + texts.sum::<usize>()
    }

    /// Its text fields, all but the type of the message.
    fn fields(&self) -> [(&'static str, Option<&str>); 10] {
        [
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
        ]
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::envelope::Address;
    use crate::message::MessageType;

    fn envelope(text: &str, headers: usize) -> Envelope {
        let to = Address::local("queue", "handler");
        let payload = Bytes::from_static(b"payload");
        let mut envelope = Envelope::new(MessageType::new("a.b", 1), "text", payload, to);
        let fields = [
            &mut envelope.source,
            &mut envelope.correlation_id,
            &mut envelope.traceparent,
            &mut envelope.saga_id,
            &mut envelope.tenant_id,
            &mut envelope.group_id,
            &mut envelope.deduplication_id,
        ];
        fields.into_iter().for_each(|field| *field = Some(text.to_owned()));
        for number in 0..headers {
            envelope.headers.insert(format!("header-{number}"), text);
        }
        envelope
    }

    #[test]
    fn the_bytes_of_an_envelope_are_no_fewer_than_those_of_its_binary_form() {
        for (length, headers) in [(0, 0), (1, MAX_HEADERS), (MAX_FIELD_BYTES, 15)] {
            let envelope = envelope(&"x".repeat(length), headers);
            assert!(envelope.check().is_ok());
            let (bytes, encoded) = (envelope.bytes(), envelope.to_bytes().len());
            assert!((encoded..encoded + 2 * OVERHEAD).contains(&bytes), "{bytes} for {encoded}");
        }
    }
}
