//! The port to other processes: what the runtime asks of a transport.
//!
//! A *transport* carries envelopes between processes: TCP, a broker. It handles addresses,
//! connections and receipts, and nothing of handlers, stores and retries: what is to be sent again
//! and when is the runtime's affair. Implement [`Transport`] to bring one of your own, and run the
//! clauses of `jasper::testing::conformance` against it.
//!
//! [`guide::endpoints`](crate::guide::endpoints) is the page for those who use transports.

mod batch;
mod broker_counts;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod cause;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod certificate;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod connect;
#[cfg(any(feature = "rabbitmq", feature = "servicebus"))]
mod connection_end;
mod convention;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod counted;
#[cfg(any(feature = "rabbitmq", feature = "servicebus"))]
mod declare;
mod deployment;
mod error;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod expiry;
mod foreign;
mod info;
#[cfg(any(feature = "servicebus", feature = "testing-servicebus"))]
pub(crate) mod iso_duration;
#[cfg(any(feature = "rabbitmq", feature = "servicebus"))]
mod listener_state;
#[cfg(any(feature = "rabbitmq", feature = "servicebus"))]
mod mapped;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod pem;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(any(feature = "rabbitmq", feature = "servicebus"))]
mod receipts;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod reloaded;
mod request;
#[cfg(feature = "servicebus")]
pub mod servicebus;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod shared_connection;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod tls;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod tls_error;
#[cfg(any(feature = "rabbitmq", feature = "servicebus", feature = "tcp"))]
mod trust;
mod uri;
#[cfg(any(feature = "servicebus", feature = "testing-servicebus"))]
pub(crate) mod xml;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::envelope::Address;

pub use self::batch::{Batch, Guarantee, Receipt, Received, ReceivedDeadLetter, Unreadable};
pub use self::broker_counts::BrokerCounts;
pub use self::convention::ConventionalPlace;
pub use self::deployment::{BrokerAddress, Deployment};
pub use self::error::TransportError;
pub use self::foreign::{EnvelopeMapper, ForeignMessage, MapperError};
pub use self::info::{Capabilities, Mode, Scheme, TransportInfo};
pub use self::request::{
    Answer, FailureKind, ReceivedRequest, RemoteFailure, RemoteReply, Request,
};
pub(crate) use self::uri::masked;
pub use self::uri::{EndpointUri, UriError};

/// A way to other processes.
///
/// What a transport gives as an error, the runtime judges: nothing is tried again within a
/// transport. A panic in one of its methods, a [`Sender`] or a [`Listener`] is an error like
/// another.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// What it is and can do, as data. Asked for once by each application.
    fn info(&self) -> TransportInfo;

    /// Takes what the deployment says, before anything else is asked of it. It may be called again,
    /// and what it says then goes before what it said first.
    ///
    /// # Errors
    /// An address of a broker cannot be used ([`TransportError::Address`],
    /// [`TransportError::Insecure`]). It is a problem of the start, listed with all others.
    fn configure(&self, _deployment: &Deployment) -> Result<(), TransportError> {
        Ok(())
    }

    /// Looks for what is wrong with an address before anything is opened.
    ///
    /// # Errors
    /// The address is none of this transport or has an option that it does not know
    /// ([`TransportError::Address`]), or asks for something that is not safe
    /// ([`TransportError::Insecure`]). It is a problem of the start, listed with all others.
    fn check(&self, uri: &EndpointUri, direction: Direction) -> Result<(), TransportError>;

    /// Compares what these endpoints need with what is there on the other side, and makes what is
    /// missing where it may. Called once at start, before anything is sent or received; the answer
    /// has the number of each endpoint that cannot be used, with the reason.
    ///
    /// That the other side cannot be reached is no reason: it may be back soon, and what is to be
    /// sent waits. A transport that has nothing to compare has no problems.
    ///
    /// Each answer, such as [`TransportError::Mismatch`], is a problem of the start: the
    /// application does not start.
    fn prepare<'a>(
        &'a self,
        _endpoints: &'a [(EndpointUri, Direction)],
    ) -> BoxFuture<'a, Vec<(usize, TransportError)>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// The address of a place under conventional routing; `None` where this transport has no
    /// conventions.
    fn convention(&self, _place: &ConventionalPlace<'_>) -> Option<String> {
        None
    }

    /// How many messages wait at the broker where a listener receives; `None` where the transport
    /// has no broker, or one that does not say it. Asked for by `Jasper::broker_backlogs` alone,
    /// also while the listener pauses.
    ///
    /// # Errors
    /// The broker cannot be reached, or does not let this process see it.
    fn counts<'a>(
        &'a self,
        _uri: &'a EndpointUri,
    ) -> BoxFuture<'a, Result<Option<BrokerCounts>, TransportError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The way to a destination. Opens nothing: it connects when it is first used, and again
    /// whenever it is used after a connection was lost.
    ///
    /// # Errors
    /// As [`check`](Self::check): a problem of the start.
    fn sender(&self, uri: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError>;

    /// Begins to receive at this address, and returns when it is bound.
    ///
    /// # Errors
    /// As [`check`](Self::check), or the address cannot be bound ([`TransportError::Bind`]). The
    /// application does not start, and what has started is stopped; `Jasper::resume_listeners`
    /// gives the error to its caller. That a broker cannot be reached is none: the listener tries
    /// again by itself and says so in [`Listener::problem`].
    fn listen(
        &self,
        uri: EndpointUri,
        receiver: Arc<dyn Receiver>,
    ) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>>;
}

/// Which way messages go at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From this process.
    Send,
    /// To this process.
    Listen,
}

/// The way to one destination. May be used by many tasks at once.
pub trait Sender: fmt::Debug + Send + Sync + 'static {
    /// Sends envelopes, and answers with one receipt for each, in order. A batch without envelopes
    /// asks whether the destination answers. What each [`Receipt`] leads to stands there; for
    /// envelopes without one the runtime takes [`Receipt::Unknown`].
    ///
    /// It tries once: a connection that cannot be opened is an error at once.
    ///
    /// # Errors
    /// Nothing is known of any envelope;
    /// [`may_have_arrived`](TransportError::may_have_arrived) says whether all are certain not to
    /// have arrived.
    ///
    /// The circuit of the endpoint opens: nothing is sent until an empty batch succeeds, which is
    /// tried after 50 ms, then after twice as long each time, up to
    /// [`longest_pause`](Self::longest_pause). Of a durable endpoint each row counts an attempt and
    /// is sent again, by this node or another, however often: no number of failures makes it a dead
    /// letter. Of an endpoint that is not durable, what cannot have arrived waits and is sent
    /// again, and what may have arrived is given up, as [`LOST`](crate::telemetry::LOST) counts.
    /// The caller who sends to an inline endpoint gets the error, and nothing is repeated.
    ///
    /// A message that is too large for the other side is no error of the batch: it is
    /// [`Receipt::Refused`], and the others leave.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the envelopes may or may not have arrived. The runtime drops it
    /// when the application ends; the rows of a durable endpoint are given back then.
    fn send(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Receipt>, TransportError>>;

    /// How long to wait at most before a destination that was down is asked again. Shorter where
    /// asking costs little, as where all endpoints share one connection.
    fn longest_pause(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Why nothing can be sent at present, where that is known without an attempt.
    fn problem(&self) -> Option<String> {
        None
    }

    /// Sends one envelope and waits for what its handler answers, on the same connection.
    ///
    /// Never called where the transport has no [`Capabilities::requests`]: the caller of
    /// `Bus::invoke` gets [`TransportError::Rejected`] there.
    ///
    /// # Errors
    /// There is no answer, and the handler may or may not have run, as
    /// [`may_have_arrived`](TransportError::may_have_arrived) says. The caller of `Bus::invoke`
    /// gets it as `InvokeError::Transport`: it is not repeated, opens no circuit and makes no dead
    /// letter. The runtime drops the future when its reply time-out passes.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Answer, TransportError>>;
}

/// An address at which messages are received.
pub trait Listener: fmt::Debug + Send + Sync + 'static {
    /// Where it listens; a port that was left to the system has its number.
    fn address(&self) -> Address;

    /// Why nothing comes at present, where that is so: the broker is away, say. It is tried again
    /// all the time. A listener that waits for others to connect has no such problem.
    fn problem(&self) -> Option<String> {
        None
    }

    /// Receives nothing new, and returns when all that was received is answered and the address is
    /// free again. Safe to call twice.
    ///
    /// # Cancel safety
    /// At the end of a stop the runtime drops it, and the listener with it: all connections are
    /// closed then, and what was not answered is sent again by its sender.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// Takes what a transport receives; the runtime's side of a [`Listener`].
pub trait Receiver: fmt::Debug + Send + Sync + 'static {
    /// What stands behind a message that is acknowledged: where it is the end of its handler, a
    /// transport may give each message by itself, so that none waits for another one's handler.
    fn mode(&self) -> Mode {
        Mode::Durable
    }

    /// Takes envelopes, and answers with one receipt for each, in order, when they are where the
    /// guarantee of their sender asks for. A transport acknowledges no sooner.
    ///
    /// While this waits, the transport lets the sender wait too. It waits at most five seconds for
    /// room in a queue and 30 s for the store, and at a listener whose [`mode`](Self::mode) is
    /// inline as long as the handlers take.
    ///
    /// Every receipt is to reach the sender: [`Accepted`](Receipt::Accepted) is acknowledged,
    /// [`Deferred`](Receipt::Deferred) and [`Unknown`](Receipt::Unknown) are to come again, and
    /// [`Refused`](Receipt::Refused) is never to come again. Bytes that are no envelope are handed
    /// over too, as [`Unreadable`]: they become an invalid message of this application.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the envelopes may or may not have been taken. They come again,
    /// and a message that was stored is recognised by its id.
    fn receive(&self, received: Received) -> BoxFuture<'_, Vec<Receipt>>;

    /// Keeps what a broker has given up as dead letters, from where it can be replayed; gives one
    /// receipt for each, in order, when they are in the store.
    fn store_dead_letters(&self, letters: Vec<ReceivedDeadLetter>) -> BoxFuture<'_, Vec<Receipt>> {
        let receipts =
            vec![Receipt::deferred("this receiver keeps no dead letters"); letters.len()];
        Box::pin(std::future::ready(receipts))
    }

    /// Runs the handler of a request, once, and gives its answer. A failure is an answer too.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the handler is dropped where it awaits, and its transaction is
    /// rolled back; a commit that has begun goes on.
    fn answer(&self, request: ReceivedRequest) -> BoxFuture<'_, Answer>;
}

/// A transport that every application of this build has, unless it brings one of its own for the
/// same schemes; collected by `inventory`.
#[derive(Clone, Copy)]
pub struct TransportRegistration {
    /// Makes it, with its defaults.
    pub make: fn() -> Arc<dyn Transport>,
}

impl fmt::Debug for TransportRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportRegistration").finish_non_exhaustive()
    }
}

inventory::collect!(TransportRegistration);
