//! What the derives tell the program about each message type.

use std::fmt;

use super::{MessageKind, MessageType};

/// One message type of the program, collected by `inventory`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MessageRegistration {
    /// Its wire name and version.
    pub message_type: MessageType,
    /// Its kind.
    pub kind: MessageKind,
    /// The endpoint name or address of `#[command(to = "…")]`.
    pub to: Option<&'static str>,
    /// The Rust path, for people.
    pub rust_name: &'static str,
    /// Where the type stands in the source.
    pub location: SourceLocation,
}

impl MessageRegistration {
    /// Used by the derives.
    pub const fn new(
        message_type: MessageType,
        kind: MessageKind,
        to: Option<&'static str>,
        rust_name: &'static str,
        location: SourceLocation,
    ) -> Self {
        Self { message_type, kind, to, rust_name, location }
    }
}

inventory::collect!(MessageRegistration);

/// A place in the user's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceLocation {
    /// The file as the compiler names it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
