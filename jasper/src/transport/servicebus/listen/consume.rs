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
        let attaching = self.attach(&connected);
        let mut attached = timeout(PATIENCE, attaching).await.map_err(|_late| {
            let why = format!("the broker has not answered within {PATIENCE:?}");
            Cause::from(why).unreachable(address)
        })??;
        self.note_up();
        self.take_all(&mut attached).await?;
        self.give_back(&mut attached).await;
        self.settle_all().await;
        attached.close().await;
        Ok(())
    }

    async fn attach(&self, connected: &Arc<Connected>) -> Result<Attached, TransportError> {
        let (path, prefetch) = (self.endpoint.path(), self.endpoint.listening.prefetch);
        let attached = Attached::attach(connected, &path, &self.locks, prefetch).await;
        attached.map_err(|fault| self.endpoint.refused(self.address.as_str(), fault))
    }

    /// In order and one batch at a time; but where a message is settled at the end of its handler,
    /// each by itself and several at once. Returns when it is stopped.
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
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                next = attached.arrivals.recv() => next,
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
