//! Values of the protocol, read without much ado about their exact types.

use fe2o3_amqp_types::primitives::{SimpleValue, Value};

use super::letter::Letter;

/// A simple value as a text, where it is a text, a number or yes and no.
pub(super) fn simple_text(value: &SimpleValue) -> Option<String> {
    Some(match value {
        SimpleValue::String(text) => text.clone(),
        SimpleValue::Symbol(symbol) => symbol.as_str().to_owned(),
        SimpleValue::Bool(it) => it.to_string(),
        SimpleValue::Ubyte(it) => it.to_string(),
        SimpleValue::Ushort(it) => it.to_string(),
        SimpleValue::Uint(it) => it.to_string(),
        SimpleValue::Ulong(it) => it.to_string(),
        SimpleValue::Byte(it) => it.to_string(),
        SimpleValue::Short(it) => it.to_string(),
        SimpleValue::Int(it) => it.to_string(),
        SimpleValue::Long(it) => it.to_string(),
        SimpleValue::Uuid(it) => uuid::Uuid::from_bytes(*it.as_inner()).to_string(),
        _ => return None,
    })
}

/// An application property.
pub(in super::super) fn property<'a>(letter: &'a Letter, name: &str) -> Option<&'a SimpleValue> {
    letter.application_properties.as_ref()?.0.get(name)
}

/// An application property as a text.
pub(in super::super) fn text_property(letter: &Letter, name: &str) -> Option<String> {
    simple_text(property(letter, name)?)
}

/// A text or a symbol.
pub(in super::super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Symbol(symbol) => Some(symbol.as_str()),
        _ => None,
    }
}

/// A whole number of any size.
pub(in super::super) fn number(value: &SimpleValue) -> Option<i64> {
    match value {
        SimpleValue::Long(number) => Some(*number),
        SimpleValue::Int(number) => Some(i64::from(*number)),
        SimpleValue::Uint(number) => Some(i64::from(*number)),
        SimpleValue::Ulong(number) => i64::try_from(*number).ok(),
        SimpleValue::Short(number) => Some(i64::from(*number)),
        SimpleValue::Ushort(number) => Some(i64::from(*number)),
        _ => None,
    }
}

/// An entry of a map, by a key that is a text or a symbol.
pub(in super::super) fn entry<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(entries) = map else {
        return None;
    };
    entries.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
}
