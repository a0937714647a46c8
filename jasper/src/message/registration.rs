//! The registration of each message type, which the derives write.

use std::fmt;
use std::panic::Location;
use std::path::Path;

use super::kind::MessageKind;
use super::message_type::MessageType;

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
    /// Whether `#[event(handled)]` says that the program has a handler.
    pub handled: bool,
    /// The Rust path, for people.
    pub rust_name: &'static str,
    /// Where the type stands in the source.
    pub location: SourceLocation,
}

impl MessageRegistration {
    /// Used by the derives, where the type stands.
    #[track_caller]
    pub const fn new(
        message_type: MessageType,
        kind: MessageKind,
        to: Option<&'static str>,
        rust_name: &'static str,
    ) -> Self {
        let place = Location::caller();
        let location = SourceLocation { file: place.file(), line: place.line() };
        Self { message_type, kind, to, handled: false, rust_name, location }
    }

    /// Used by the derives: the program has to have a handler.
    #[doc(hidden)]
    #[must_use]
    pub const fn handled(mut self) -> Self {
        self.handled = true;
        self
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

impl SourceLocation {
    /// The folder of the package that it is in: of `shop/src/orders.rs`, `shop`. A package keeps
    /// its code in folders of these names.
    pub(crate) fn package(&self) -> &'static str {
        let folders = ["src", "tests", "examples", "benches"];
        let mut path = Path::new(self.file);
        while let Some(parent) = path.parent() {
            path = parent;
            if folders.iter().any(|folder| path.ends_with(folder)) {
                let package = path.parent().and_then(Path::to_str);
                return package.unwrap_or_default();
            }
        }
        ""
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_in_its_package() {
        let cases = [
            ("src/main.rs", ""),
            ("tests/it.rs", ""),
            ("contracts/src/orders/place.rs", "contracts"),
            ("/home/me/shop/app/src/bin/worker.rs", "/home/me/shop/app"),
            ("build.rs", ""),
        ];
        for (file, package) in cases {
            assert_eq!(SourceLocation { file, line: 1 }.package(), package, "{file}");
        }
    }
}
