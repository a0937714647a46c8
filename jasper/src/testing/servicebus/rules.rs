//! Which messages of a topic a subscription gets.

use std::collections::BTreeMap;

use fe2o3_amqp_types::primitives::{SimpleValue, Value};

use super::broker_error::BrokerError;
use super::letter::{self, Letter};
use super::refusal::{NOT_IMPLEMENTED, Refusal};
use super::sql::Expression;

/// A filter of a subscription's rule. Actions are not supported.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// Every message.
    True,
    /// No message.
    False,
    /// Messages whose properties are equal to those of the filter.
    Correlation(CorrelationFilter),
    /// Messages of which an expression in SQL is true: see [`Filter::sql`].
    Sql(SqlFilter),
}

/// A filter in SQL.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlFilter(pub(super) Expression);

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
            letter::field(letter, name).as_deref() == Some(value.as_str())
        };
        self.fields.iter().all(is_equal) && self.properties.iter().all(has)
    }
}

impl Filter {
    /// Messages of which this expression is true, such as `size > 3 AND sys.Label LIKE 'shop.%'`.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Entity`] where something in it is not supported; it is named.
    pub fn sql(expression: &str) -> Result<Self, BrokerError> {
        Ok(Self::from_sql(expression)?)
    }

    /// A filter by an expression in SQL.
    pub(super) fn from_sql(expression: &str) -> Result<Self, Refusal> {
        match expression.replace(' ', "").as_str() {
            "1=1" => Ok(Self::True),
            "1=0" => Ok(Self::False),
            _ => match Expression::read(expression) {
                Ok(expression) => Ok(Self::Sql(SqlFilter(expression))),
                Err(what) => {
                    let description =
                        format!("The test broker does not support {what} in a filter in SQL.");
                    Err(Refusal::new(NOT_IMPLEMENTED, description))
                }
            },
        }
    }

    pub(super) fn lets_through(&self, letter: &Letter) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Correlation(filter) => filter.lets_through(letter),
            Self::Sql(filter) => filter.0.lets_through(letter),
        }
    }
}

/// A property of a filter as it came; `None` where its type is no simple one.
pub(super) fn simple(value: &Value) -> Option<SimpleValue> {
    SimpleValue::try_from(value.clone()).ok()
}
