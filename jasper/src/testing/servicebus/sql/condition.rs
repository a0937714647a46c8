//! What an expression says of a message.

use fe2o3_amqp_types::primitives::SimpleValue;

use super::super::letter::{self, Letter};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    IsNull(Operand),
    In(Operand, Vec<Operand>),
    Like(Operand, Operand),
    Compare(Operand, Comparison, Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Different,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Value(Value),
    Property(Property),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Property {
    User(String),
    /// In lower case.
    System(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    Flag(bool),
}

impl Condition {
    /// `None` where it is unknown.
    pub(super) fn holds(&self, letter: &Letter) -> Option<bool> {
        match self {
            Self::Any(all) => any(all.iter().map(|one| one.holds(letter))),
            Self::All(all) => {
                any(all.iter().map(|one| one.holds(letter).map(|it| !it))).map(|it| !it)
            }
            Self::Not(one) => one.holds(letter).map(|it| !it),
            Self::IsNull(operand) => Some(operand.value(letter).is_none()),
            Self::In(left, values) => {
                let left = left.value(letter)?;
                any(values
                    .iter()
                    .map(|value| left.compare(Comparison::Equal, &value.value(letter)?)))
            }
            Self::Like(left, pattern) => match (left.value(letter)?, pattern.value(letter)?) {
                (Value::Text(text), Value::Text(pattern)) => Some(is_like(&text, &pattern)),
                _ => None,
            },
            Self::Compare(left, comparison, right) => {
                left.value(letter)?.compare(*comparison, &right.value(letter)?)
            }
        }
    }
}

/// Whether one of them holds: unknown where none does and one is unknown.
fn any(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for one in all {
        match one {
            Some(true) => return Some(true),
            Some(false) => {}
            None => result = None,
        }
    }
    result
}

impl Operand {
    fn value(&self, letter: &Letter) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Property(Property::User(name)) => {
                Value::of(letter::properties(letter)?.get(name)?)
            }
            Self::Property(Property::System(name)) => {
                let field = match *name {
                    "correlationid" => "correlation-id",
                    "messageid" => "message-id",
                    "replyto" => "reply-to",
                    "sessionid" => "session-id",
                    "replytosessionid" => "reply-to-session-id",
                    "contenttype" => "content-type",
                    other => other,
                };
                letter::field(letter, field).map(Value::Text)
            }
        }
    }
}

impl Value {
    fn of(value: &SimpleValue) -> Option<Self> {
        let number = match value {
            SimpleValue::String(text) => return Some(Self::Text(text.clone())),
            SimpleValue::Bool(flag) => return Some(Self::Flag(*flag)),
            SimpleValue::Int(number) => f64::from(*number),
            SimpleValue::Uint(number) => f64::from(*number),
            SimpleValue::Short(number) => f64::from(*number),
            SimpleValue::Ushort(number) => f64::from(*number),
            SimpleValue::Byte(number) => f64::from(*number),
            SimpleValue::Ubyte(number) => f64::from(*number),
            SimpleValue::Long(number) => *number as f64,
            SimpleValue::Ulong(number) => *number as f64,
            SimpleValue::Double(number) => number.into_inner(),
            SimpleValue::Float(number) => f64::from(number.into_inner()),
            _ => return None,
        };
        Some(Self::Number(number))
    }

    /// Values of different kinds cannot be compared.
    fn compare(&self, comparison: Comparison, other: &Self) -> Option<bool> {
        let order = match (self, other) {
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(right)?,
            (Self::Flag(left), Self::Flag(right)) => left.cmp(right),
            _ => return None,
        };
        Some(match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::Different => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
        })
    }
}

/// `%` is any text, `_` is any character.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    // For each length of the text, whether the pattern so far fits what is before it.
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for wanted in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match wanted {
                '%' => fits[at] || (at > 0 && next[at - 1]),
                _ => at > 0 && fits[at - 1] && (wanted == '_' || wanted == text[at - 1]),
            };
        }
        fits = next;
    }
    fits[text.len()]
}
