//! What a connection may reach.

use super::address::{EntityName, Node};

/// The rights of one connection: all, or those of the tokens that it has shown.
#[derive(Debug, Default)]
pub(super) struct Access {
    is_full: bool,
    paths: Vec<String>,
}

impl Access {
    /// After SASL PLAIN with the key.
    pub(super) fn open_all(&mut self) {
        self.is_full = true;
    }

    /// After a token for this path; that of a management node opens its entity.
    pub(super) fn open(&mut self, path: &str) {
        let node = Node::parse(path);
        self.paths.push(node.entity().map(|entity| entity.path.clone()).unwrap_or_default());
    }

    pub(super) fn allows(&self, entity: &EntityName) -> bool {
        let is_inside = |path: &String| {
            let rest = entity.path.strip_prefix(path.as_str());
            path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.is_full || self.paths.iter().any(is_inside)
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::EntityName;
    use super::Access;

    #[test]
    fn a_token_opens_its_entity_with_all_that_belongs_to_it_and_nothing_else() {
        let mut access = Access::default();
        access.open("news/$management");
        for inside in ["news", "news/subscriptions/mine", "news/$deadletterqueue"] {
            assert!(access.allows(&EntityName::parse(inside)), "{inside}");
        }
        for outside in ["newspaper", "orders"] {
            assert!(!access.allows(&EntityName::parse(outside)), "{outside}");
        }
    }
}
