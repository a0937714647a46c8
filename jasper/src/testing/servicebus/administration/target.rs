//! What a request is about, by its path.

use hyper::Uri;

use super::super::address;
use super::super::refusal::{ARGUMENT_ERROR, Refusal};

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) skip: usize,
    pub(super) top: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Queues(Page),
    Topics(Page),
    Subscriptions {
        topic: String,
        page: Page,
    },
    Rules {
        topic: String,
        subscription: String,
        page: Page,
    },
    /// A queue or a topic.
    Entity(String),
    Subscription {
        topic: String,
        name: String,
    },
    Rule {
        topic: String,
        subscription: String,
        name: String,
    },
}

const LARGEST_PAGE: usize = 100;

impl Target {
    pub(super) fn read(uri: &Uri) -> Result<Self, Refusal> {
        let wrong = |what: &str| Refusal::new(ARGUMENT_ERROR, format!("The {what} is not valid."));
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8();
        let path = path.map_err(|_error| wrong("path"))?;
        let page = page(uri.query().unwrap_or_default()).ok_or_else(|| wrong("query"))?;
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let lower = path.to_lowercase();
        let is = |at: usize, name: &str| {
            segments.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(name))
        };
        if lower.starts_with("/$resources/") {
            return match lower.trim_end_matches('/') {
                "/$resources/queues" => Ok(Self::Queues(page)),
                "/$resources/topics" => Ok(Self::Topics(page)),
                _ => Err(wrong("path")),
            };
        }
        // The names of queues and topics may have slashes, the others may not.
        let Some(at) = (1..segments.len()).find(|at| is(*at, "subscriptions")) else {
            let name = segments.join("/");
            let is_name = !name.is_empty() && !name.contains('$');
            return if is_name { Ok(Self::Entity(name)) } else { Err(wrong("path")) };
        };
        let topic = segments[..at].join("/");
        match &segments[at + 1..] {
            [] => Ok(Self::Subscriptions { topic, page }),
            [name] => Ok(Self::Subscription { topic, name: (*name).to_owned() }),
            [subscription, _] if is(at + 2, "rules") => {
                Ok(Self::Rules { topic, subscription: (*subscription).to_owned(), page })
            }
            [subscription, _, name] if is(at + 2, "rules") => {
                let (subscription, name) = ((*subscription).to_owned(), (*name).to_owned());
                Ok(Self::Rule { topic, subscription, name })
            }
            _ => Err(wrong("path")),
        }
    }

    /// The entity that it is about; `None` where it is the namespace.
    pub(super) fn path(&self) -> Option<String> {
        match self {
            Self::Queues(_) | Self::Topics(_) => None,
            Self::Entity(name) => Some(name.to_lowercase()),
            Self::Subscriptions { topic, .. } => Some(topic.to_lowercase()),
            Self::Subscription { topic, name: subscription }
            | Self::Rules { topic, subscription, .. }
            | Self::Rule { topic, subscription, .. } => {
                Some(address::subscription(topic, subscription))
            }
        }
    }
}

fn page(query: &str) -> Option<Page> {
    let mut page = Page { skip: 0, top: LARGEST_PAGE };
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "$skip" | "%24skip" => page.skip = value.parse().ok()?,
            "$top" | "%24top" => page.top = value.parse::<usize>().ok()?.min(LARGEST_PAGE),
            _ => {}
        }
    }
    Some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_a_request_is_about() {
        let page = Page { skip: 3, top: 2 };
        let (topic, subscription, name) = ("news".to_owned(), "mine".to_owned(), "a".to_owned());
        for (uri, expected) in [
            ("/$Resources/queues?%24skip=3&$top=2", Target::Queues(page)),
            ("/eu/orders?api-version=2021-05", Target::Entity("eu/orders".to_owned())),
            (
                "/news/Subscriptions/mine",
                Target::Subscription { topic: topic.clone(), name: subscription.clone() },
            ),
            ("/news/subscriptions/mine/rules/a", Target::Rule { topic, subscription, name }),
        ] {
            assert_eq!(Target::read(&uri.parse().unwrap()), Ok(expected), "{uri}");
        }
        for uri in ["/", "/$resources/relays", "/a/subscriptions/b/c", "/q?$skip=x"] {
            assert!(Target::read(&uri.parse().unwrap()).is_err(), "{uri}");
        }
    }
}
