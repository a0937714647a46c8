//! What is left of a handler's error: a name and words, and no code of the user's.

use std::error::Error;
use std::fmt;
use std::iter;

use super::error::HandlerError;
use crate::caught::{Panic, caught};
use crate::error_text::{self, Cutter};
use crate::store::IsConflict;

/// A handler's error as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerFailure {
    /// The Rust path of the error's type.
    pub type_name: &'static str,
    /// The error with its causes, in words.
    pub text: String,
    /// Whether a further try is of no use.
    pub terminal: bool,
    /// Whether the handler's transaction met another one, so that a further try is no attempt.
    pub conflict: bool,
}

/// The most causes of an error that are looked at.
const MOST_CAUSES: usize = 32;

impl HandlerFailure {
    /// Displays an error and drops it; where that panics, the words say so.
    pub(crate) fn of(error: HandlerError, is_conflict: IsConflict) -> Self {
        let (type_name, terminal) = (error.type_name(), error.is_terminal());
        let conflict = caught(|| has_conflict(&error, is_conflict)).unwrap_or(false);
        let text = caught(|| said(&error)).unwrap_or_else(|panic| {
            let text = format!("its error panicked while it was displayed: {panic}");
            error_text::cut(&text).into_owned()
        });
        let text = match caught(move || drop(error)) {
            Ok(()) => text,
            Err(panic) => with_drop(&text, &panic),
        };
        Self { type_name, text, terminal, conflict }
    }

    /// Whether a further try is of no use.
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The Rust path of the error's type, for grouping.
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }
}

fn has_conflict(error: &HandlerError, is_conflict: IsConflict) -> bool {
    let first: &(dyn Error + 'static) = error.source();
    let causes = iter::successors(Some(first), |&error| error.source());
    causes.take(MOST_CAUSES).any(is_conflict)
}

fn with_drop(text: &str, panic: &Panic) -> String {
    let text = format!("{text}; its error panicked while it was dropped: {panic}");
    error_text::cut(&text).into_owned()
}

/// The words of an error, however many there are.
fn said(error: &HandlerError) -> String {
    let mut words = Cutter::default();
    let written = fmt::write(&mut words, format_args!("{error}"));
    let is_cut_short = written.is_err() && !words.is_full();
    let mut said = words.finish();
    if is_cut_short {
        said.push_str("; its error could not be displayed to the end");
    }
    said
}

impl fmt::Display for HandlerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    /// An error that displays itself in ways of its own, and panics when it is dropped.
    #[derive(Debug)]
    struct Odd {
        display: fn(&mut fmt::Formatter<'_>) -> fmt::Result,
        drop: fn(),
    }

    impl fmt::Display for Odd {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.display)(f)
        }
    }

    impl Drop for Odd {
        fn drop(&mut self) {
            (self.drop)();
        }
    }

    impl Error for Odd {}

    fn text(display: fn(&mut fmt::Formatter<'_>) -> fmt::Result, drop: fn()) -> String {
        let failure =
            HandlerFailure::of(HandlerError::terminal(Odd { display, drop }), |_error| false);
        assert!(failure.is_terminal() && failure.type_name().ends_with("Odd"), "{failure:?}");
        failure.to_string()
    }

    #[test]
    fn an_error_that_cannot_be_displayed_says_why() {
        assert_eq!(
            text(|_| panic!("boom"), || {}),
            "its error panicked while it was displayed: boom"
        );
        let fails = text(|f| f.write_str("half").and(Err(fmt::Error)), || {});
        assert_eq!(fails, "half; its error could not be displayed to the end");
    }

    #[test]
    fn an_error_that_panics_when_it_is_dropped_keeps_its_words() {
        let said = text(|f| f.write_str("words"), || panic!("boom"));
        assert_eq!(said, "words; its error panicked while it was dropped: boom");
    }

    #[test]
    fn an_error_that_never_ends_is_cut() {
        let said = text(
            |f| loop {
                f.write_str("again and ")?;
            },
            || {},
        );
        assert!(said.len() <= error_text::LONGEST, "{}", said.len());
        assert!(said.starts_with("again and again") && said.contains("left out"), "{said}");
    }
}
