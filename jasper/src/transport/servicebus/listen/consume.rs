//! Consuming by one link, until that ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::super::connection::Connected;
use super::super::failure::Fault;
use super::intake::Item;
use super::link::Attached;
use super::listener::Listening;
use super::pump::Arrived;
use super::settlement::Settlement;
use crate::transport::TransportError;
use crate::transport::cause::Cause;

/// How long the broker may take to attach a link.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a session is held that has no messages.
const IDLE: Duration = Duration::from_secs(1);

/// The most messages, and about the most bytes, that are taken together.
const MOST: usize = 500;
const MOST_BYTES: usize = 4 * 1024 * 1024;

impl Listening {
    /// Consumes until it is stopped.
    ///
    /// # Errors
    /// There is no connection, or no queue, or one of them has ended.
    pub(super) async fn consume(self: &Arc<Self>) -> Result<(), TransportError> {
        let connected = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            connected = self.connection.get_or_connect() => connected,
        };
        let address = self.address.as_str();
        let connected = connected.map_err(|error| error.not_sent(address))?;
        if self.endpoint.listening.sessions.is_some() {
            return self.consume_sessions(&connected).await;
        }
        let attaching = self.attach(&connected);
        let attached = timeout(PATIENCE, attaching).await.map_err(|_late| {
            let why = format!("the broker has not answered within {PATIENCE:?}");
            Cause::from(why).unreachable(address)
        })??;
        self.state.note_up();
        self.work_off(attached).await
    }

    /// One session after the other, each until it has no more messages.
    async fn consume_sessions(
        self: &Arc<Self>,
        connected: &Arc<Connected>,
    ) -> Result<(), TransportError> {
        self.state.note_up();
        while !self.stop.is_cancelled() {
            let (path, options) = (self.endpoint.path(), &self.endpoint.listening);
            // As long as the broker lets it wait for a session.
            let attached = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                attached = Attached::attach(connected, &path, &self.locks, options) => attached,
            };
            match attached {
                Ok(attached) => self.work_off(attached).await?,
                Err(Fault::Refused(refusal)) if refusal.is_time_out() => {}
                Err(fault) => return Err(self.endpoint.refused(self.address.as_str(), fault)),
            }
        }
        Ok(())
    }

    /// All that comes by a link, and its end.
    async fn work_off(self: &Arc<Self>, mut attached: Attached) -> Result<(), TransportError> {
        self.take_all(&mut attached).await?;
        self.give_back(&mut attached).await;
        self.settle_all().await;
        attached.close().await;
        Ok(())
    }

    async fn attach(&self, connected: &Arc<Connected>) -> Result<Attached, TransportError> {
        let (path, options) = (self.endpoint.path(), &self.endpoint.listening);
        let attached = Attached::attach(connected, &path, &self.locks, options).await;
        attached.map_err(|fault| self.endpoint.refused(self.address.as_str(), fault))
    }

    /// In order and one batch at a time; but where a message is settled at the end of its handler,
    /// each by itself and several at once. Returns when it is stopped, or when a session is empty.
    ///
    /// # Errors
    /// The link has ended, and all that came by it is being taken.
    async fn take_all(self: &Arc<Self>, attached: &mut Attached) -> Result<(), TransportError> {
        let most = if self.is_inline() { 1 } else { MOST };
        loop {
            let turn = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                turn = Arc::clone(&self.turns).acquire_owned() => turn,
            };
            // They are never closed.
            let Ok(turn) = turn else { return Ok(()) };
            let is_session = self.endpoint.listening.sessions.is_some();
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                next = attached.arrivals.recv() => next,
                () = tokio::time::sleep(IDLE), if is_session => return Ok(()),
            };
            let first = self.arrived(next)?;
            let items = self.gathered(attached, first, most);
            if !items.is_empty() {
                self.begin_to_take(items, turn);
            }
        }
    }

    /// Asks for nothing more, and gives back what has come since.
    async fn give_back(self: &Arc<Self>, attached: &mut Attached) {
        attached.link.drain();
        while let Some(next) = attached.arrivals.recv().await {
            if let Ok(arrived) = next
                && let Ok(item) = self.item(&attached.link, arrived)
            {
                self.begin_to_settle(vec![(item.delivery, Settlement::Release)]);
            }
        }
    }

    fn arrived(&self, next: Option<Result<Arrived, Fault>>) -> Result<Arrived, TransportError> {
        match next {
            Some(Ok(arrived)) => Ok(arrived),
            Some(Err(fault)) => Err(self.endpoint.refused(self.address.as_str(), fault)),
            None => Err(Cause::from("the connection has ended").lost(&self.address)),
        }
    }

    /// What has arrived by now, without the requests among it.
    fn gathered(
        self: &Arc<Self>,
        attached: &mut Attached,
        first: Arrived,
        most: usize,
    ) -> Vec<Item> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(arrived) = next.take() {
            match self.item(&attached.link, arrived) {
                Ok(item) if item.asked.is_some() => self.begin_to_serve(item),
                Ok(item) => {
                    bytes += item.bytes();
                    items.push(item);
                }
                Err(unreadable) => self.begin_to_settle(vec![*unreadable]),
            }
            if items.len() < most && bytes < MOST_BYTES {
                next = attached.arrivals.try_recv().ok().and_then(Result::ok);
            }
        }
        items
    }
}
