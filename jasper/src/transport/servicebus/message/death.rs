//! Why a message is a dead letter, from what the broker and listeners have written into it.

use super::fields::{DEATH_DESCRIPTION, DEATH_REASON};
use super::letter::Letter;
use super::value::text_property;

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Death {
    /// In one word, such as `MaxDeliveryCountExceeded`.
    pub(in super::super) kind: String,
    /// In words.
    pub(in super::super) why: String,
}

/// Why this message is a dead letter.
pub(in super::super) fn death(letter: &Letter) -> Death {
    let said = |name| text_property(letter, name).filter(|text| !text.is_empty());
    let kind = said(DEATH_REASON);
    let why = said(DEATH_DESCRIPTION).unwrap_or_else(|| match &kind {
        Some(kind) => format!("the broker gave it up ({kind})"),
        None => "it was in a queue of dead letters, and does not say why".to_owned(),
    });
    Death { kind: kind.unwrap_or_else(|| "unknown".to_owned()), why }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::ApplicationProperties;
    use fe2o3_amqp_types::primitives::SimpleValue;

    use super::*;

    fn died(properties: &[(&str, &str)]) -> Death {
        let mut map = ApplicationProperties::default();
        for (name, text) in properties {
            map.0.insert((*name).to_owned(), SimpleValue::String((*text).to_owned()));
        }
        let mut letter = super::super::write::empty();
        letter.application_properties = Some(map);
        death(&letter)
    }

    #[test]
    fn what_the_broker_says_is_said_and_a_letter_that_says_nothing_is_taken_all_the_same() {
        let both = died(&[(DEATH_REASON, "Unreadable"), (DEATH_DESCRIPTION, "no colon")]);
        assert_eq!((both.kind.as_str(), both.why.as_str()), ("Unreadable", "no colon"));
        let kind = died(&[(DEATH_REASON, "TTLExpiredException")]);
        assert_eq!(kind.why, "the broker gave it up (TTLExpiredException)");
        assert_eq!(died(&[]).kind, "unknown");
    }
}
