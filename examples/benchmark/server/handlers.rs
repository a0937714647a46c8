//! What is sent and handled where jasper is measured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jasper::envelope::Address;
use jasper::handler::HandlerRegistration;
use jasper::message::Message;
use jasper::prelude::*;
use jasper::runtime::{Builder, Sending};
use jasper::store::{Incoming, MessageStore, Placement};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Database;
use crate::Outcome;

/// Makes a stored message about as long as those of the hand-written loops.
pub(super) const NOTE: &str = "an order of three articles, to be sent to its customer tomorrow";

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that any measurement may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What one kind of server brings for an application: jasper's store, and handlers on its
/// connections.
pub(crate) trait Application: Database {
    type Store: MessageStore + Clone;

    /// jasper's store in this database.
    async fn store(&self) -> Outcome<Self::Store>;

    /// Adds the handlers that take a connection.
    fn handlers(builder: Builder) -> Builder;

    /// Sends a message to the handler that does what [`Database::handle`] does.
    fn write(bus: &Bus, runs: Runs) -> Sending<'static>;

    /// A row for that handler.
    fn written(runs: Runs) -> Outcome<Incoming>;

    /// Sends a message to the handler that notes when it began, with a transaction open.
    fn ping(bus: &Bus, number: usize) -> Sending<'static>;
}

/// How the runs of a handler commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    Alone,
    Together,
}

/// Handlers that take a connection, and their messages: a handler is typed by its connection, and a
/// command has one handler. Beside it stand `effect`, which writes a business row, and `open`,
/// which opens the store.
macro_rules! application {
    (
        $database:ty, $store:ty, $connection:ty,
        names: $write:literal, $write_together:literal, $begin:literal $(,)?
    ) => {
        #[derive(Command, Serialize, Deserialize)]
        #[command(name = $write)]
        struct Write {
            note: String,
        }

        #[handler(concurrency = 16)]
        #[durable]
        async fn write(
            cmd: Write,
            db: &mut $connection,
            handled: State<Handled>,
        ) -> Result<Delayed<FollowUp>, <$database as Database>::Error> {
            effect(db, &cmd.note).await?;
            handled.add_one();
            Ok(follow_up())
        }

        #[derive(Command, Serialize, Deserialize)]
        #[command(name = $write_together)]
        struct WriteTogether {
            note: String,
        }

        #[handler(concurrency = 16)]
        #[durable(share = 50)]
        async fn write_together(
            cmd: WriteTogether,
            db: &mut $connection,
            handled: State<Handled>,
        ) -> Result<Delayed<FollowUp>, <$database as Database>::Error> {
            effect(db, &cmd.note).await?;
            handled.add_one();
            Ok(follow_up())
        }

        #[derive(Command, Serialize, Deserialize)]
        #[command(name = $begin)]
        struct TransactionOptions {
            number: usize,
        }

        #[handler]
        #[durable]
        async fn begin(cmd: TransactionOptions, _db: &mut $connection, arrivals: State<Arrivals>) {
            arrivals.note(cmd.number);
        }

        impl Application for $database {
            type Store = $store;

            async fn store(&self) -> Outcome<$store> {
                Ok(open(self).await?)
            }

            fn handlers(builder: Builder) -> Builder {
                builder.handler(write).handler(write_together).handler(begin)
            }

            fn write(bus: &Bus, runs: Runs) -> Sending<'static> {
                let note = NOTE.into();
                match runs {
                    Runs::Alone => bus.send(Write { note }),
                    Runs::Together => bus.send(WriteTogether { note }),
                }
            }

            fn written(runs: Runs) -> Outcome<Incoming> {
                let note = NOTE.into();
                match runs {
                    Runs::Alone => row(write, &Write { note }),
                    Runs::Together => row(write_together, &WriteTogether { note }),
                }
            }

            fn ping(bus: &Bus, number: usize) -> Sending<'static> {
                bus.send(TransactionOptions { number })
            }
        }
    };
}

pub(super) use application;

#[derive(Command, Serialize, Deserialize)]
pub(super) struct Forget {
    pub(super) note: String,
}

#[handler]
#[durable]
pub(super) async fn forget(_cmd: Forget, handled: State<Handled>) {
    handled.add_one();
}

#[derive(Command, Serialize, Deserialize)]
pub(super) struct ForgetSixteen {
    pub(super) note: String,
}

#[handler(concurrency = 16)]
#[durable]
pub(super) async fn forget_sixteen(_cmd: ForgetSixteen, handled: State<Handled>) {
    handled.add_one();
}

#[derive(Command, Serialize, Deserialize)]
pub(super) struct Park {
    pub(super) note: String,
}

/// Keeps what is sent to it waiting, so that only the sending is measured.
#[handler(concurrency = 1)]
#[durable]
pub(super) async fn park(_cmd: Park, stop: CancellationToken) {
    stop.cancelled().await;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "server.ping")]
pub(super) struct Ping {
    pub(super) number: usize,
}

#[handler]
#[durable]
pub(super) async fn ping(cmd: Ping, arrivals: State<Arrivals>) {
    arrivals.note(cmd.number);
}

#[derive(Command, Serialize, Deserialize)]
pub(super) struct FollowUp {
    note: String,
}

/// What a handler sends on: stored with its commit, and handled another day.
pub(super) fn follow_up() -> Delayed<FollowUp> {
    FollowUp { note: NOTE.into() }.delayed(DAY)
}

#[handler]
#[durable]
pub(super) async fn followed_up(_cmd: FollowUp) {}

/// A row for a handler of any application that takes it.
pub(super) fn row<M: Message + Serialize, F: 'static>(
    function: F,
    message: &M,
) -> Outcome<Incoming> {
    let payload = serde_json::to_vec(message)?;
    let handler = HandlerRegistration::of(function).ok_or("not a handler")?;
    let destination = Address::local(handler.queue, handler.name);
    let envelope = Envelope::new(M::TYPE, "application/json", payload.into(), destination);
    Ok(Incoming { envelope, placement: Placement::Unowned, retention: None })
}

/// How many messages were handled.
#[derive(Clone)]
pub(super) struct Handled(Arc<Semaphore>);

impl Handled {
    pub(super) fn none() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(super) fn add_one(&self) {
        self.0.add_permits(1);
    }

    pub(super) async fn reaches(&self, n: usize) -> Outcome<()> {
        let all = self.0.acquire_many(n.try_into()?);
        tokio::time::timeout(LIMIT, all).await??.forget();
        Ok(())
    }
}

/// When each ping reached its handler.
#[derive(Clone, Default)]
pub(super) struct Arrivals(Arc<Mutex<Vec<Option<Instant>>>>);

impl Arrivals {
    pub(super) fn expect(&self, n: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = vec![None; n];
    }

    pub(super) fn list(&self) -> Vec<Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, number: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(Instant::now());
    }
}
