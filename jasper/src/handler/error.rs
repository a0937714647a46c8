//! How a handler fails.

use std::any::type_name;
use std::error::Error;
use std::fmt;

/// The failure of a handler: worth another try, unless it is [terminal](HandlerError::terminal).
///
/// Everything that can be a `Box<dyn Error + Send + Sync>` becomes one by `?`: every error type,
/// `anyhow::Error`, `eyre::Report`, such a box itself, and text.
///
/// ```
/// use jasper::{HandlerError, Terminal};
///
/// fn quantity(line: &str) -> Result<u32, HandlerError> {
///     let quantity = line.parse().terminal()?; // another try would find the same text
///     if quantity == 0 {
///         return Err(HandlerError::new("nothing is ordered"));
///     }
///     std::fs::write("last-quantity", line)?; // worth another try
///     Ok(quantity)
/// }
/// ```
///
/// Like other catch-all errors it is not itself a `std::error::Error`. By `?` it becomes a
/// `Box<dyn Error>`, and with the features of these names an `anyhow::Error` and an `eyre::Report`.
/// For a `Box<dyn Error + Send + Sync>` or an error of yours, take
/// [`into_source`](Self::into_source).
pub struct HandlerError {
    source: Box<dyn Error + Send + Sync>,
    type_name: &'static str,
    terminal: bool,
}

impl HandlerError {
    /// A failure in words, or another error, worth another try.
    pub fn new(error: impl IntoHandlerError) -> Self {
        error.into_handler_error()
    }

    /// A failure that another try cannot fix: the message becomes a dead letter at once.
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

    /// The error itself, for another type of error: `.map_err(HandlerError::into_source)`.
    pub fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.source
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

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self { source: error.into(), type_name: type_name::<E>(), terminal: false }
    }
}

impl From<HandlerError> for Box<dyn Error> {
    fn from(error: HandlerError) -> Self {
        error.source
    }
}

#[cfg(feature = "anyhow")]
impl From<HandlerError> for anyhow::Error {
    fn from(error: HandlerError) -> Self {
        Self::from_boxed(error.source)
    }
}

#[cfg(feature = "eyre")]
impl From<HandlerError> for eyre::Report {
    fn from(error: HandlerError) -> Self {
        Self::new(Unboxed(error.source))
    }
}

/// A box of an error as an error, which it is not itself.
#[cfg(feature = "eyre")]
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unboxed(Box<dyn Error + Send + Sync>);

/// What a handler may return as its error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler",
    label = "not an error type",
    note = "implement `std::error::Error` for it (`thiserror` does), or return \
            `jasper::HandlerError` or `anyhow::Error`",
    note = "`HandlerError::new(\"…\")` makes one out of words"
)]
pub trait IntoHandlerError {
    /// The same failure as the runtime keeps it.
    fn into_handler_error(self) -> HandlerError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn Error + Send + Sync>>> IntoHandlerError for E {
    fn into_handler_error(self) -> HandlerError {
        HandlerError::from(self)
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
