//! The kinds of message, as types for the compiler and as data for the runtime.

/// Handled by exactly one handler, visible from where it is sent.
#[derive(Debug)]
pub enum Command {}

/// Published to any number of handlers, none included.
#[derive(Debug)]
pub enum Event {}

/// A command with `#[command(to = "…")]`: an endpoint handles it, in this process or another.
#[derive(Debug)]
pub enum Routed {}

/// The kind of a message, for code that looks at registrations instead of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// See [`Command`].
    Command,
    /// See [`Event`].
    Event,
    /// See [`Routed`].
    Routed,
}

/// Implemented by the three markers of this module and by nothing else.
pub trait Kind: sealed::Sealed {
    /// The same kind as data.
    const KIND: MessageKind;
}

impl Kind for Command {
    const KIND: MessageKind = MessageKind::Command;
}

impl Kind for Event {
    const KIND: MessageKind = MessageKind::Event;
}

impl Kind for Routed {
    const KIND: MessageKind = MessageKind::Routed;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Command {}
    impl Sealed for super::Event {}
    impl Sealed for super::Routed {}
}
