//! How much rows and settlements weigh in a statement.

use super::inbox::Settlement;
use super::outbox::OutgoingSettlement;
use super::portions::Weigh;
use super::record::{Incoming, Outgoing};

/// What a settlement has beside its text.
const BESIDE_TEXT: usize = 1024;

impl Weigh for Incoming {
    fn weight(&self) -> usize {
        self.envelope.weight()
    }
}

impl Weigh for Outgoing {
    fn weight(&self) -> usize {
        self.envelope.weight()
    }
}

/// Texts of errors are cut to a few KiB.
impl Weigh for Settlement {
    fn weight(&self) -> usize {
        match self {
            Self::DeadLetter { error_message, .. } => error_message.len() + BESIDE_TEXT,
            _ => BESIDE_TEXT,
        }
    }
}

impl Weigh for OutgoingSettlement {
    fn weight(&self) -> usize {
        match self {
            Self::Refused { error_message, .. } => error_message.len() + BESIDE_TEXT,
            _ => BESIDE_TEXT,
        }
    }
}
