//! Which of the two derives runs.

/// Which of the two derives runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavor {
    Command,
    Event,
}
