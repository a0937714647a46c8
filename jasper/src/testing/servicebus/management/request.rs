//! What every operation reads its request with.

use fe2o3_amqp_types::primitives::Value;
use uuid::Uuid;

use super::super::address::EntityName;
use super::super::namespace::Namespace;
use super::super::refusal::{ARGUMENT_ERROR, DECODE_ERROR, Refusal};
use super::super::reply;

/// What an operation answers with: a body, or that there is nothing.
pub(super) type Answer = Result<Option<Value>, Refusal>;

/// One request with what it is about.
pub(super) struct Request<'a> {
    pub(super) namespace: &'a mut Namespace,
    pub(super) entity: &'a EntityName,
    pub(super) body: &'a Value,
    pub(super) now: i64,
}

impl<'a> Request<'a> {
    pub(super) fn entry(&self, name: &str) -> Result<&'a Value, Refusal> {
        reply::entry(self.body, name).ok_or_else(|| missing(name))
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        reply::text(self.entry(name)?).ok_or_else(|| missing(name))
    }

    pub(super) fn number(&self, name: &str) -> Result<i64, Refusal> {
        reply::number(self.entry(name)?).ok_or_else(|| missing(name))
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<&'a str> {
        reply::text(reply::entry(self.body, name)?)
    }

    pub(super) fn lock_tokens(&self) -> Result<Vec<Uuid>, Refusal> {
        let token = |value: &Value| match value {
            Value::Uuid(token) => Ok(Uuid::from_bytes(*token.as_inner())),
            _ => Err(missing("lock-tokens")),
        };
        reply::elements(self.entry("lock-tokens")?).iter().map(token).collect()
    }

    pub(super) fn sequence_numbers(&self) -> Result<Vec<i64>, Refusal> {
        let number =
            |value: &Value| reply::number(value).ok_or_else(|| missing("sequence-numbers"));
        reply::elements(self.entry("sequence-numbers")?).iter().map(number).collect()
    }
}

pub(super) fn missing(name: &str) -> Refusal {
    Refusal::new(ARGUMENT_ERROR, format!("The request has no '{name}' of the right type."))
}

pub(super) fn unwritable(error: &serde_amqp::Error) -> Refusal {
    Refusal::new(DECODE_ERROR, format!("A message cannot be written: {error}"))
}
