//! The wire name of a message with its version.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error_text::is_control;

/// A stable name and a version, written `place-order@1`.
///
/// Names are lower-case words joined by `-` and grouped by `.`; the derives check that when they
/// compile.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageType {
    name: Cow<'static, str>,
    version: u16,
}

impl MessageType {
    /// The type with this name and version. The name is not checked here; the derives and
    /// [`FromStr`] do.
    pub const fn new(name: &'static str, version: u16) -> Self {
        Self { name: Cow::Borrowed(name), version }
    }

    /// The name without its version.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, from 1.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// How many bytes it takes as text.
    pub(crate) fn text_len(&self) -> usize {
        let digits = 1 + self.version.checked_ilog10().unwrap_or(0);
        self.name.len() + "@".len() + digits as usize
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a message type such as `place-order@1`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a message type: expected a name and a version, such as `place-order@1`")]
pub struct ParseMessageTypeError {
    text: String,
}

impl FromStr for MessageType {
    type Err = ParseMessageTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseMessageTypeError { text: text.to_owned() };
        let (name, version) = text.rsplit_once('@').ok_or_else(refused)?;
        let version = version.parse().map_err(|_| refused())?;
        if name.is_empty() || name.contains(is_control) {
            return Err(refused());
        }
        Ok(Self { name: Cow::Owned(name.to_owned()), version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_length_is_that_of_its_text() {
        for version in [0, 1, 9, 10, 99, 100, u16::MAX] {
            let message_type = MessageType::new("größe", version);
            assert_eq!(message_type.text_len(), message_type.to_string().len(), "{version}");
        }
    }
}
