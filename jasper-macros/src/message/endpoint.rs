//! The grammar of `to`: an endpoint's name, or an address of a known scheme.

use super::wire_name;
use crate::attribute::listed;

const SCHEMES: &[&str] = &["local", "tcp", "durable", "rabbitmq", "asb"];

/// What is wrong with `to`, if anything is.
pub(super) fn mistake(to: &str) -> Option<String> {
    let Some((scheme, rest)) = to.split_once("://") else {
        return wire_name::mistake(to).map(|what| {
            let what = what.replace("is not a name", "is not the name of an endpoint");
            format!("{what}: {}; or give an address, such as `tcp://host:5580`", wire_name::GRAMMAR)
        });
    };
    match scheme {
        "local" if !is_queue(rest) => {
            Some(format!("`{to}` names no queue: {QUEUE_GRAMMAR}, such as `local://emails`"))
        }
        "tcp" | "durable" => socket_mistake(scheme, to, rest),
        _ if !SCHEMES.contains(&scheme) => Some(format!(
            "unknown scheme `{scheme}` in `{to}`; the schemes are {}",
            listed(SCHEMES)
        )),
        _ if rest.is_empty() => {
            Some(format!("`{to}` ends after its scheme: name the host or the queue"))
        }
        _ => None,
    }
}

/// The grammar of queue names in words.
pub(crate) const QUEUE_GRAMMAR: &str = "write lower-case letters, digits, `_`, `.` and `-`, the \
                                        first a letter or digit";

/// Whether `name` can name a local queue.
pub(crate) fn is_queue(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes().next().is_some_and(is_plain)
        && name.bytes().all(|byte| is_plain(byte) || matches!(byte, b'_' | b'.' | b'-'))
}

fn socket_mistake(scheme: &str, to: &str, rest: &str) -> Option<String> {
    let authority = rest.split('/').next().unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    if host.is_empty() {
        return Some(format!("`{to}` names no host: write `{scheme}://host:port`"));
    }
    match port.parse::<u16>() {
        Ok(1..) => None,
        _ if port.is_empty() => Some(format!("`{to}` has no port: write `{scheme}://{host}:5580`")),
        _ => Some(format!("`{port}` in `{to}` is not a port: write a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_accepted() {
        let good = [
            "shipping",
            "eu.shipping",
            "local://emails",
            "local://email_2",
            "tcp://127.0.0.1:5580",
            "durable://[::1]:5580",
            "rabbitmq://orders",
            "asb://orders",
        ];
        for to in good {
            assert_eq!(mistake(to), None, "{to}");
        }
    }

    #[test]
    fn everything_else_is_refused_in_words() {
        let bad = [
            ("", "empty"),
            ("Shipping", "not the name"),
            ("http://host:80", "unknown scheme `http`"),
            ("tcp://host", "no port"),
            ("tcp://:5580", "no host"),
            ("tcp://host:0", "not a port"),
            ("durable://host:99999", "not a port"),
            ("local://", "no queue"),
            ("local://Emails", "no queue"),
            ("asb://", "ends after its scheme"),
        ];
        for (to, expected) in bad {
            let found = mistake(to).expect(to);
            assert!(found.contains(expected), "{found}");
        }
    }
}
