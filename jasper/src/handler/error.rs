//! How a handler fails.

use std::any::type_name;
use std::error::Error;
use std::fmt;

/// The failure of a handler: worth another try, unless it is [terminal](HandlerError::terminal).
///
/// Every error type becomes one by `?`. Like other catch-all errors it is not itself a
/// `std::error::Error`.
pub struct HandlerError {
    source: Box<dyn Error + Send + Sync>,
    type_name: &'static str,
    terminal: bool,
}

impl HandlerError {
    /// A failure in words, worth another try.
    pub fn new(message: impl Into<String>) -> Self {
        Self { source: message.into().into(), type_name: "message", terminal: false }
    }

    /// A failure that no further try can mend: the message becomes a dead letter at once.
    pub fn terminal(error: impl IntoHandlerError) -> Self {
        Self { terminal: true, ..error.into_handler_error() }
    }

    /// Whether a further try is of no use.
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The Rust path of the error's type, for grouping.
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The error itself.
    pub fn source(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.source
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("type", &self.type_name)
            .field("terminal", &self.terminal)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for HandlerError {
    /// The error with its causes, each after a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self { source: Box::new(error), type_name: type_name::<E>(), terminal: false }
    }
}

/// What a handler may return as its error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler",
    label = "not an error type",
    note = "implement `std::error::Error` for it (`thiserror` does), or return \
            `jasper::HandlerError`",
    note = "`HandlerError::new(\"…\")` makes one out of words"
)]
pub trait IntoHandlerError {
    /// The same failure as the runtime keeps it.
    fn into_handler_error(self) -> HandlerError;
}

#[diagnostic::do_not_recommend]
impl<E: Error + Send + Sync + 'static> IntoHandlerError for E {
    fn into_handler_error(self) -> HandlerError {
        self.into()
    }
}

impl IntoHandlerError for HandlerError {
    fn into_handler_error(self) -> HandlerError {
        self
    }
}

/// Marks the error of a `Result` as terminal: `validate(&order).terminal()?`.
pub trait Terminal<T> {
    /// The same result, with its error made [terminal](HandlerError::terminal).
    ///
    /// # Errors
    /// Where `self` is one.
    fn terminal(self) -> Result<T, HandlerError>;
}

impl<T, E: IntoHandlerError> Terminal<T> for Result<T, E> {
    fn terminal(self) -> Result<T, HandlerError> {
        self.map_err(HandlerError::terminal)
    }
}
