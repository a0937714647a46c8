//! Compile-time routing: the traits by which the compiler proves that every message has a place to
//! go.
//!
//! A generic function asks for [`Sendable`], [`Publishable`] or [`Invocable`](crate::Invocable).

mod bounds;
mod proof;
mod refused;

pub use self::bounds::{Publishable, Sendable};
pub use self::proof::{Handled, HandledBy, KindReaches, Publishes, Reaches, Sends};
