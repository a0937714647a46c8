//! What one run of a handler has at hand.

use std::any::{Any, type_name};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::causation::Causation;
use super::error::HandlerError;
use super::outgoing::Cascades;
use super::scope::{RunScope, ScopeSource};
use super::states::States;
use crate::codec::Codec;
use crate::envelope::Envelope;
use crate::store::{Connection, IsConflict};

/// What one run of a handler has at hand; arguments are taken out of it by
/// [`FromContext`](super::FromContext).
pub struct HandlerContext<'run> {
    envelope: EnvelopeSource<'run>,
    states: &'run States,
    aborting: &'run CancellationToken,
    /// Made when it is asked for, as most handlers never do.
    cancellation: OnceLock<CancellationToken>,
    scope: ScopeSource<'run>,
    connection: Option<&'run mut (dyn Any + Send)>,
    is_conflict: IsConflict,
    cascades: Cascades<'run>,
}

/// An invoked command has no envelope until one is asked for.
enum EnvelopeSource<'run> {
    Received(&'run Envelope),
    Invoked(&'run (dyn Fn() -> Envelope + Sync)),
}

impl<'run> HandlerContext<'run> {
    pub(crate) fn received(
        envelope: &'run Envelope,
        states: &'run States,
        aborting: &'run CancellationToken,
        scope: ScopeSource<'run>,
        codec: &'run dyn Codec,
    ) -> Self {
        Self::new(EnvelopeSource::Received(envelope), states, aborting, scope, codec)
    }

    pub(crate) fn invoked(
        envelope: &'run (dyn Fn() -> Envelope + Sync),
        states: &'run States,
        aborting: &'run CancellationToken,
        scope: ScopeSource<'run>,
        codec: &'run dyn Codec,
    ) -> Self {
        Self::new(EnvelopeSource::Invoked(envelope), states, aborting, scope, codec)
    }

    const fn new(
        envelope: EnvelopeSource<'run>,
        states: &'run States,
        aborting: &'run CancellationToken,
        scope: ScopeSource<'run>,
        codec: &'run dyn Codec,
    ) -> Self {
        let cascades = Cascades::new(codec);
        let is_conflict = |_error: &(dyn Error + 'static)| false;
        Self {
            envelope,
            states,
            aborting,
            cancellation: OnceLock::new(),
            scope,
            connection: None,
            is_conflict,
            cascades,
        }
    }

    #[must_use]
    pub(crate) fn with_connection(
        mut self,
        connection: Option<&'run mut (dyn Any + Send)>,
    ) -> Self {
        self.connection = connection;
        self
    }

    /// How to see from an error that the transaction of this run met another one.
    #[must_use]
    pub(crate) const fn with_conflicts(mut self, is_conflict: IsConflict) -> Self {
        self.is_conflict = is_conflict;
        self
    }

    pub(super) const fn is_conflict(&self) -> IsConflict {
        self.is_conflict
    }

    /// The envelope of the message being handled.
    pub fn envelope(&self) -> Envelope {
        match self.envelope {
            EnvelopeSource::Received(envelope) => envelope.clone(),
            EnvelopeSource::Invoked(make) => make(),
        }
    }

    /// The registered states.
    pub const fn states(&self) -> &States {
        self.states
    }

    /// Cancelled when the run should end: its time-out has passed or the application is stopping.
    /// To cancel it ends nothing but what the handler has started with it.
    pub fn cancellation(&self) -> &CancellationToken {
        self.cancellation.get_or_init(|| self.aborting.child_token())
    }

    /// Cancels what the handler has started, where it asked for the token.
    pub(crate) fn cancel(&self) {
        if let Some(token) = self.cancellation.get() {
            token.cancel();
        }
    }

    /// The run as what is sent in it sees it.
    pub(crate) fn scope(&self) -> Arc<RunScope> {
        (self.scope)()
    }

    /// What messages sent in this run follow from.
    pub fn causation(&self) -> Causation {
        self.scope().causation().clone()
    }

    /// The connection of the handler's transaction, for the one call of its function.
    pub(super) const fn take_connection(&mut self) -> Option<&'run mut (dyn Any + Send)> {
        self.connection.take()
    }

    /// How the messages that the handler returns are encoded.
    pub const fn codec(&self) -> &'run dyn Codec {
        self.cascades.codec()
    }

    /// The messages that the handler returned.
    pub const fn cascades(&mut self) -> &mut Cascades<'run> {
        &mut self.cascades
    }
}

impl fmt::Debug for HandlerContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerContext")
            .field("causation", self.scope().causation())
            .finish_non_exhaustive()
    }
}

/// The connection of the handler's transaction, as its store gives it.
///
/// # Errors
/// The store has connections of another type, or the run is not in a transaction. The check at
/// start has seen to both.
pub(super) fn connection_of<C: Connection>(
    connection: Option<&mut (dyn Any + Send)>,
) -> Result<&mut C, HandlerError> {
    connection.and_then(|connection| connection.downcast_mut()).ok_or_else(|| {
        let what = type_name::<C>();
        HandlerError::new(format!("this run has no transaction with a `{what}`"))
    })
}
