//! What becomes of a message that has come.

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settlement {
    /// It is done.
    Complete,
    /// Back to where it was, without a failed delivery.
    Release,
    /// Back to where it was, with a failed delivery.
    Abandon,
    /// To the dead letters of the entity.
    DeadLetter { reason: &'static str, description: String },
}

/// The most characters that the service takes as a reason or a description.
const MOST_TEXT: usize = 4_096;

impl Settlement {
    /// To the dead letters of the entity, in these words, cut to what the service takes.
    pub(super) fn dead_letter(reason: &'static str, description: &str) -> Self {
        let description = description.chars().take(MOST_TEXT).collect();
        Self::DeadLetter { reason, description }
    }
}
