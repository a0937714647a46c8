//! An address as it is written in a configuration: a URI with options in its query.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::envelope::Address;

/// An address with its options: `durable://shipping.internal:5580?order=strict`.
///
/// The options are no part of the address: two that differ in them lead to the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUri {
    /// The address, without a query.
    pub address: Address,
    /// The options of the query, by name.
    pub options: BTreeMap<String, String>,
}

impl EndpointUri {
    /// Takes an option out; what is left over in the end is unknown.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.options.remove(name)
    }
}

impl fmt::Display for EndpointUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        for (index, (name, value)) in self.options.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            write!(f, "{separator}{name}={value}")?;
        }
        Ok(())
    }
}

/// What the names of options have in them whose values are no affair of a log.
const SECRET_NAMES: [&str; 8] =
    ["auth", "credential", "key", "passw", "pwd", "secret", "sig", "token"];

/// The text without what may be a secret: a user with a password, and options by the names of
/// secrets. Addresses stand in logs, errors and rows.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let authority = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    let user = text[start..authority].rfind('@').map(|at| start..start + at);
    let query = text.find('?').map_or(text.len(), |at| at + 1);
    let is_secret = |part: &str| {
        let name = part.split('=').next().unwrap_or_default().to_ascii_lowercase();
        SECRET_NAMES.iter().any(|secret| name.contains(secret))
    };
    if user.is_none() && !text[query..].split('&').any(is_secret) {
        return Cow::Borrowed(text);
    }
    let place = match user {
        Some(user) => format!("{}…{}", &text[..user.start], &text[user.end..query]),
        None => text[..query].to_owned(),
    };
    let options = text[query..].split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if is_secret(part) => format!("{name}=…"),
        _ => part.to_owned(),
    });
    Cow::Owned(place + &options.collect::<Vec<_>>().join("&"))
}

/// The text is not an address with options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// It has no scheme or no place.
    #[error("`{text}` is not an address: write `scheme://place`, such as `tcp://host:5580`")]
    NoAddress {
        /// The text.
        text: String,
    },
    /// It has a user, a password or a token in it.
    #[error(
        "`{masked}` has a secret in it, and addresses are written to logs: give a transport its \
         keys by the builder, and a broker its password by `JASPER_BROKER_…`"
    )]
    Secret {
        /// The text without the secret.
        masked: String,
    },
    /// A part of the query is not `name=value`.
    #[error("`{part}` in `{text}` is not an option: write `?name=value&other=value`")]
    NoOption {
        /// The text.
        text: String,
        /// The part.
        part: String,
    },
    /// An option stands twice.
    #[error("`{text}` has the option `{name}` twice")]
    Repeated {
        /// The text.
        text: String,
        /// The option.
        name: String,
    },
}

impl FromStr for EndpointUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Cow::Owned(masked) = masked(text) {
            return Err(UriError::Secret { masked });
        }
        let (place, query) = text.split_once('?').map_or((text, None), |(p, q)| (p, Some(q)));
        let address =
            place.parse().map_err(|_none| UriError::NoAddress { text: text.to_owned() })?;
        let mut options = BTreeMap::new();
        for part in query.into_iter().flat_map(|query| query.split('&')) {
            let no_option = || UriError::NoOption { text: text.to_owned(), part: part.to_owned() };
            let (name, value) = part.split_once('=').ok_or_else(no_option)?;
            if name.is_empty() || value.is_empty() {
                return Err(no_option());
            }
            if options.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(UriError::Repeated { text: text.to_owned(), name: name.to_owned() });
            }
        }
        Ok(Self { address, options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_options() {
        let plain: EndpointUri = "tcp://host:5580".parse().unwrap();
        assert_eq!(plain.address.as_str(), "tcp://host:5580");
        assert!(plain.options.is_empty());
        let text = "durable://host:5580?mode=inline&order=strict";
        let mut uri: EndpointUri = text.parse().unwrap();
        assert_eq!(uri.to_string(), text);
        assert_eq!(uri.address.as_str(), "durable://host:5580");
        assert_eq!(uri.take("mode").as_deref(), Some("inline"));
        assert_eq!(uri.take("mode"), None);
    }

    #[test]
    fn what_may_be_a_secret_is_refused_and_not_repeated() {
        for (text, expected) in [
            ("durable://canary:canary@host:1", "durable://…@host:1"),
            ("tcp://canary@canary@[::1]:5580/x?order=strict", "tcp://…@[::1]:5580/x?order=strict"),
            ("tcp://host:1?token=canary", "tcp://host:1?token=…"),
            ("tcp://host:1?order=strict&Api_Key=canary=canary&mode=inline", "&Api_Key=…&mode="),
            ("rabbitmq://queue/a?password=canary", "rabbitmq://queue/a?password=…"),
            ("canary:canary@host:1", "`…@host:1`"),
        ] {
            let error = text.parse::<EndpointUri>().unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("canary"), "{text}: {error}");
        }
        for text in ["rabbitmq://queue/a@b", "rabbitmq://topic/events/payments.#?name=a", ""] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        let bad = [
            ("", "not an address"),
            ("host:5580", "not an address"),
            ("tcp://", "not an address"),
            ("tcp://?a=b", "not an address"),
            ("tcp://h:1?", "not an option"),
            ("tcp://h:1?a", "not an option"),
            ("tcp://h:1?a=", "not an option"),
            ("tcp://h:1?a=1&a=2", "twice"),
        ];
        for (text, expected) in bad {
            let error = text.parse::<EndpointUri>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
