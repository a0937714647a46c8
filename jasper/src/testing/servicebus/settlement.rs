//! What a receiver says of a message that it holds.

use fe2o3_amqp_types::primitives::Value;

/// What becomes of a locked message.
#[derive(Debug, Clone)]
pub(super) enum Settlement {
    Complete,
    /// Back to where it was, without a failed delivery.
    Release,
    Abandon(Properties),
    Defer(Properties),
    DeadLetter {
        reason: Option<String>,
        description: Option<String>,
        properties: Properties,
    },
}

/// Application properties that a settlement sets.
pub(super) type Properties = Vec<(String, Value)>;
