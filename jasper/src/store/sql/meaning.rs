//! What the caller can do about an error of a database.

use crate::source_error::SourceError;
use crate::store::StoreError;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The disk is full.
    Full,
    ReadOnly,
    /// It met another transaction, or too much is asked for: the same may succeed soon.
    Busy,
    Unreachable,
}

impl Meaning {
    /// The error of this meaning at this place, with what the database said.
    pub(crate) fn error(
        self,
        place: String,
        detail: String,
        source: Option<SourceError>,
    ) -> StoreError {
        match self {
            Self::Full => StoreError::Full { place },
            Self::ReadOnly => StoreError::ReadOnly { place },
            Self::Busy => StoreError::Busy { place, detail, source },
            Self::Unreachable => StoreError::Unreachable { place, detail, source },
        }
    }
}
