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
