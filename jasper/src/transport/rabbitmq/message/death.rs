//! Why a message is a dead letter, from what the broker and listeners have written into it.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::fields::REFUSED;
use super::read::text_of;

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Death {
    /// In one word, such as `rejected`.
    pub(in super::super) kind: String,
    /// In words.
    pub(in super::super) why: String,
}

/// Where the broker writes it, the last time first.
const DEATHS: &str = "x-death";

/// Why this message is a dead letter.
pub(in super::super) fn death(properties: &BasicProperties) -> Death {
    let header = |name: &str| properties.headers().as_ref()?.inner().get(name);
    // What a listener has said is more than what the broker saw of it.
    if let Some(why) = header(REFUSED).and_then(text_of) {
        return Death {
            kind: "refused".to_owned(),
            why: format!("its listener refused it: {why}"),
        };
    }
    match header(DEATHS) {
        Some(AMQPValue::FieldArray(deaths)) => match deaths.as_slice().first() {
            Some(AMQPValue::FieldTable(last)) => by_broker(last),
            _ => unknown(),
        },
        _ => unknown(),
    }
}

fn unknown() -> Death {
    let why = "it was in a queue of dead letters, and does not say why".to_owned();
    Death { kind: "unknown".to_owned(), why }
}

fn by_broker(last: &FieldTable) -> Death {
    let text = |name: &str| last.inner().get(name).and_then(text_of);
    let kind = text("reason").unwrap_or_else(|| "unknown".to_owned());
    let queue = text("queue").unwrap_or_default();
    let meaning = match kind.as_str() {
        "rejected" => "a consumer rejected it",
        "expired" => "it was too old",
        "maxlen" => "the queue was full",
        "delivery_limit" => "it was delivered too often",
        _ => "the broker gave it up",
    };
    let times = match text("count").as_deref() {
        None | Some("1") => String::new(),
        Some(count) => format!(", {count} times"),
    };
    Death { why: format!("{meaning} in the queue `{queue}` ({kind}{times})"), kind }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    fn with(name: &str, value: AMQPValue) -> BasicProperties {
        let mut headers = FieldTable::default();
        headers.insert(name.into(), value);
        BasicProperties::default().with_headers(headers)
    }

    fn said(reason: &str, count: i64) -> Death {
        let mut entry = FieldTable::default();
        entry.insert("reason".into(), AMQPValue::LongString(reason.into()));
        entry.insert("queue".into(), AMQPValue::LongString("orders".into()));
        entry.insert("count".into(), AMQPValue::LongLongInt(count));
        let mut all = FieldArray::default();
        all.push(AMQPValue::FieldTable(entry));
        death(&with(DEATHS, AMQPValue::FieldArray(all)))
    }

    #[test]
    fn what_the_broker_says_is_said_in_words() {
        let rejected = said("rejected", 1);
        assert_eq!(rejected.kind, "rejected");
        assert_eq!(rejected.why, "a consumer rejected it in the queue `orders` (rejected)");
        assert_eq!(
            said("expired", 3).why,
            "it was too old in the queue `orders` (expired, 3 times)"
        );
        assert_eq!(said("eaten", 1).why, "the broker gave it up in the queue `orders` (eaten)");
    }

    #[test]
    fn a_message_that_does_not_say_why_it_is_dead_is_taken_all_the_same() {
        let nothing = [
            BasicProperties::default(),
            with(DEATHS, AMQPValue::LongInt(7)),
            with(DEATHS, AMQPValue::FieldArray(FieldArray::default())),
        ];
        for properties in nothing {
            assert_eq!(death(&properties).kind, "unknown");
        }
        let refused = death(&with(REFUSED, AMQPValue::LongString("no handler".into())));
        assert_eq!(refused.why, "its listener refused it: no handler");
    }
}
