//! Loose headers: text that travels with a message beside its typed fields.

use std::collections::BTreeMap;

/// Names and values, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// Sets a header, replacing the value that stood under the name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value under this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All headers, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many bytes they take together in the binary form.
    pub(crate) fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| header_bytes(name, value)).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a header takes of the [most](super::MAX_HEADER_BYTES) for all.
const fn header_bytes(name: &str, value: &str) -> usize {
    4 + name.len() + value.len()
}
