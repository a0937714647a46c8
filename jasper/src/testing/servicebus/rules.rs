//! Which messages of a topic a subscription gets.

use std::collections::BTreeMap;

use fe2o3_amqp_types::messaging::MessageId;
use fe2o3_amqp_types::primitives::{SimpleValue, Value};

use super::letter::{self, Letter};

/// A filter of a subscription's rule. Filters in SQL beyond `1=1` and `1=0`, and actions, are not
/// supported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// Every message.
    True,
    /// No message.
    False,
    /// Messages whose properties are equal to those of the filter.
    Correlation(CorrelationFilter),
}

/// Properties that have to be equal; those that are not set may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorrelationFilter {
    pub(super) fields: BTreeMap<&'static str, String>,
    pub(super) properties: BTreeMap<String, SimpleValue>,
}

/// The fields of a correlation filter, in the order of the protocol, by their names in a request.
pub(super) const FIELDS: [&str; 8] = [
    "correlation-id",
    "message-id",
    "to",
    "reply-to",
    "label",
    "session-id",
    "reply-to-session-id",
    "content-type",
];

impl CorrelationFilter {
    /// A filter that lets everything through until a property is set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The correlation id has to be this.
    #[must_use]
    pub fn correlation_id(self, value: impl Into<String>) -> Self {
        self.field("correlation-id", value)
    }

    /// The subject, which older clients call the label, has to be this.
    #[must_use]
    pub fn subject(self, value: impl Into<String>) -> Self {
        self.field("label", value)
    }

    /// An application property has to be this text.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), SimpleValue::String(value.into()));
        self
    }

    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.insert(name, value.into());
        self
    }

    fn lets_through(&self, letter: &Letter) -> bool {
        let known = letter::properties(letter);
        let has = |(name, value): (&String, &SimpleValue)| {
            known.and_then(|known| known.get(name)).is_some_and(|found| found == value)
        };
        let is_equal = |(name, value): (&&'static str, &String)| {
            field_of(letter, name).as_deref() == Some(value.as_str())
        };
        self.fields.iter().all(is_equal) && self.properties.iter().all(has)
    }
}

impl Filter {
    pub(super) fn lets_through(&self, letter: &Letter) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Correlation(filter) => filter.lets_through(letter),
        }
    }
}

fn field_of(letter: &Letter, name: &str) -> Option<String> {
    let properties = letter.properties.as_ref()?;
    let id = |id: &Option<MessageId>| match id {
        Some(MessageId::String(text)) => Some(text.clone()),
        _ => None,
    };
    match name {
        "correlation-id" => id(&properties.correlation_id),
        "message-id" => id(&properties.message_id),
        "to" => properties.to.clone(),
        "reply-to" => properties.reply_to.clone(),
        "label" => properties.subject.clone(),
        "session-id" => properties.group_id.clone(),
        "reply-to-session-id" => properties.reply_to_group_id.clone(),
        "content-type" => properties.content_type.as_ref().map(|text| text.as_str().to_owned()),
        _ => None,
    }
}

/// A property of a filter as it came; `None` where its type is no simple one.
pub(super) fn simple(value: &Value) -> Option<SimpleValue> {
    SimpleValue::try_from(value.clone()).ok()
}
