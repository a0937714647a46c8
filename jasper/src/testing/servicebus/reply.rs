//! Requests and responses of `$cbs` and of `$management`.

use fe2o3_amqp_types::messaging::{AmqpValue, Body, Properties};
use fe2o3_amqp_types::primitives::{OrderedMap, Value};

use super::letter::{self, Letter};
use super::refusal::{
    ALREADY_EXISTS, LOCK_LOST, MESSAGE_NOT_FOUND, NOT_FOUND, NOT_IMPLEMENTED, Refusal,
    SESSION_CANNOT_BE_LOCKED, SESSION_LOCK_LOST, UNAUTHORIZED,
};

pub(super) const OK: i32 = 200;
pub(super) const ACCEPTED: i32 = 202;
pub(super) const NO_CONTENT: i32 = 204;

/// A response to this request with a status and a body.
pub(super) fn response(request: &Letter, status: i32, description: &str, body: Value) -> Letter {
    let asked = request.properties.as_ref();
    let id = asked.and_then(|it| it.message_id.clone().or_else(|| it.correlation_id.clone()));
    let properties = Properties { correlation_id: id, ..Properties::default() };
    let mut letter =
        Letter { properties: Some(properties), body: Body::Value(AmqpValue(body)), ..empty() };
    let (status, text) = (Value::Int(status), Value::String(description.to_owned()));
    // The two nodes write the same names in two ways; clients read one of them.
    let both = [
        ("statusCode", &status),
        ("status-code", &status),
        ("statusDescription", &text),
        ("status-description", &text),
    ];
    letter::set_properties(&mut letter, both);
    letter
}

pub(super) fn refused(request: &Letter, refusal: &Refusal) -> Letter {
    let status = match refusal.condition.as_str() {
        LOCK_LOST | SESSION_LOCK_LOST | SESSION_CANNOT_BE_LOCKED => 410,
        MESSAGE_NOT_FOUND | NOT_FOUND => 404,
        ALREADY_EXISTS => 409,
        NOT_IMPLEMENTED => 501,
        UNAUTHORIZED => 401,
        _ => 400,
    };
    let mut letter = response(request, status, &refusal.description, Value::Map(OrderedMap::new()));
    let condition = Value::Symbol(refusal.condition.as_str().into());
    letter::set_properties(&mut letter, [("errorCondition", &condition)]);
    letter
}

fn empty() -> Letter {
    Letter {
        header: None,
        delivery_annotations: None,
        message_annotations: None,
        properties: None,
        application_properties: None,
        body: Body::Empty,
        footer: None,
    }
}

/// A map with texts as keys.
pub(super) fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let mut map = OrderedMap::new();
    for (name, value) in entries {
        map.insert(Value::String(name.to_owned()), value);
    }
    Value::Map(map)
}

/// An entry of a map, by a key that is a text or a symbol.
pub(super) fn entry<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(entries) = map else {
        return None;
    };
    let is_it = |key: &Value| match key {
        Value::String(text) => text == name,
        Value::Symbol(symbol) => symbol.as_str() == name,
        _ => false,
    };
    let found = entries.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value);
    found.filter(|value| **value != Value::Null)
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Symbol(symbol) => Some(symbol.as_str()),
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Long(number) => Some(*number),
        Value::Int(number) => Some(i64::from(*number)),
        Value::Uint(number) => Some(i64::from(*number)),
        Value::Ulong(number) => i64::try_from(*number).ok(),
        Value::Ubyte(number) => Some(i64::from(*number)),
        Value::Short(number) => Some(i64::from(*number)),
        Value::Byte(number) => Some(i64::from(*number)),
        Value::Ushort(number) => Some(i64::from(*number)),
        _ => None,
    }
}

/// The elements of a list or an array.
pub(super) fn elements(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        Value::Array(values) => &values.0,
        _ => &[],
    }
}
