//! What a connection may reach.

use std::collections::BTreeMap;

use super::address::{EntityName, Node};

/// The rights of one connection: all, or those of the tokens that it has shown.
#[derive(Debug, Default)]
pub(super) struct Access {
    is_full: bool,
    /// With the time at which each token expires, in milliseconds since the Unix epoch.
    paths: BTreeMap<String, i64>,
}

impl Access {
    /// After SASL PLAIN with the key.
    pub(super) fn open_all(&mut self) {
        self.is_full = true;
    }

    /// After a token for this path; that of a management node opens its entity. A later token for
    /// the same path replaces it.
    pub(super) fn open(&mut self, path: &str, until: i64) {
        let node = Node::parse(path);
        let path = node.entity().map(|entity| entity.path.clone()).unwrap_or_default();
        self.paths.insert(path, until);
    }

    /// Closes what was opened by tokens that have expired, and says whether there was any.
    pub(super) fn close_expired(&mut self, now: i64) -> bool {
        let before = self.paths.len();
        self.paths.retain(|_, until| *until > now);
        self.paths.len() < before
    }

    /// When the next token expires.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.paths.values().min().copied()
    }

    pub(super) fn allows(&self, entity: &EntityName) -> bool {
        let is_inside = |path: &String| {
            let rest = entity.path.strip_prefix(path.as_str());
            path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.is_full || self.paths.keys().any(is_inside)
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::EntityName;
    use super::Access;

    #[test]
    fn a_token_opens_its_entity_with_all_that_belongs_to_it_and_nothing_else() {
        let mut access = Access::default();
        access.open("news/$management", 5);
        for inside in ["news", "news/subscriptions/mine", "news/$deadletterqueue"] {
            assert!(access.allows(&EntityName::parse(inside)), "{inside}");
        }
        for outside in ["newspaper", "orders"] {
            assert!(!access.allows(&EntityName::parse(outside)), "{outside}");
        }
        assert_eq!(access.deadline(), Some(5));
        assert!(!access.close_expired(4) && access.close_expired(5));
        assert!(!access.allows(&EntityName::parse("news")));
    }
}
