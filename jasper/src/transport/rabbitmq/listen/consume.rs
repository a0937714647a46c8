//! Consuming on one channel, until that ends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer, Error};
use tokio::time::timeout;

use super::super::connection::Connected;
use super::super::declare::declare;
use super::super::failure::{no_connection, not_sent};
use super::super::requests::Serving;
use super::intake::Item;
use super::listener::Listening;
use crate::transport::cause::Cause;
use crate::transport::declare::Declare;
use crate::transport::{Mode, TransportError};

/// How long the broker may take to answer what a listener asks at first.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most messages, and about the most bytes, that are taken together.
const MOST: usize = 500;
const MOST_BYTES: usize = 4 * 1024 * 1024;

impl Listening {
    /// Consumes until it is stopped.
    ///
    /// # Errors
    /// There is no connection, or no queue, or one of them has ended.
    pub(super) async fn consume(&self) -> Result<(), TransportError> {
        let connected = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            connected = self.connection.get_or_connect() => connected,
        };
        let connected = connected.map_err(|error| no_connection(self.address.as_str(), error))?;
        let opening = self.open(&connected);
        let (consumers, serving) = timeout(PATIENCE, opening).await.map_err(|_late| {
            let why = format!("the broker has not answered within {PATIENCE:?}");
            Cause::from(why).unreachable(&self.address)
        })??;
        self.state.note_up();
        let tags: Vec<_> =
            consumers.iter().map(|(channel, consumer)| (channel.clone(), consumer.tag())).collect();
        let taking = consumers.into_iter().map(|(_, consumer)| self.take_all(consumer, &connected));
        // Where a channel has ended, answers that are under way have nowhere to go.
        try_join_all(taking).await?;
        if let Some(serving) = serving {
            serving.stop().await;
        }
        let closing = tags.into_iter().map(|(channel, tag)| self.close(channel, tag));
        tokio::select! {
            _closed = join_all(closing) => {}
            () = connected.ended() => {}
        }
        Ok(())
    }

    async fn open(
        &self,
        connected: &Arc<Connected>,
    ) -> Result<(Vec<(Channel, Consumer)>, Option<Serving>), TransportError> {
        declare(connected, self.address.as_str(), &self.endpoint).await?;
        let failed = |error: Error| not_sent(self.address.as_str(), &error);
        let serving = self.serve(connected).await.map_err(failed)?;
        let count = self.endpoint.listening.consumers;
        let consumers = (0..count).map(|_| self.open_consumer(connected));
        Ok((try_join_all(consumers).await.map_err(failed)?, serving))
    }

    async fn open_consumer(&self, connected: &Connected) -> Result<(Channel, Consumer), Error> {
        let channel = connected.connection.create_channel().await?;
        channel.basic_qos(self.endpoint.listening.prefetch, BasicQosOptions::default()).await?;
        let (queue, options) = (self.endpoint.queue_name().into(), BasicConsumeOptions::default());
        let mut arguments = FieldTable::default();
        if let Some(offset) = (*self.position.lock()).or(self.endpoint.listening.offset) {
            arguments.insert("x-stream-offset".into(), offset.argument());
        }
        let consumer = channel.basic_consume(queue, "".into(), options, arguments).await?;
        Ok((channel, consumer))
    }

    /// Requests are for applications that may declare the queue for them.
    async fn serve(&self, connected: &Arc<Connected>) -> Result<Option<Serving>, Error> {
        if self.endpoint.declare != Declare::Provision || self.endpoint.listening.is_of_dead_letters
        {
            return Ok(None);
        }
        let (queue, receiver) = (self.endpoint.queue_name(), Arc::clone(&self.receiver));
        Serving::start(connected, queue, self.address.clone(), receiver).await.map(Some)
    }

    /// What was delivered and is not acknowledged goes back to its queue.
    async fn close(&self, channel: Channel, tag: lapin::types::ShortString) {
        let cancelled = channel.basic_cancel(tag, BasicCancelOptions::default()).await;
        let closed = channel.close(200, "the listener stops".into()).await;
        if let Err(error) = cancelled.and(closed) {
            tracing::debug!(address = %self.address, %error, "the channel had ended");
        }
    }

    /// In order and one batch at a time; but where a message is acknowledged at the end of its
    /// handler, each by itself and several at once.
    async fn take_all(
        &self,
        mut consumer: Consumer,
        connected: &Connected,
    ) -> Result<(), TransportError> {
        let is_inline =
            self.receiver.mode() == Mode::Inline && !self.endpoint.listening.is_of_dead_letters;
        // A stream goes on behind what was taken last.
        let is_stream = self.endpoint.listening.offset.is_some();
        let takes_several = is_inline && !is_stream;
        let most = if takes_several { usize::from(self.endpoint.listening.prefetch) } else { 1 };
        let mut running = FuturesUnordered::new();
        let mut ended = pin!(connected.ended());
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = &mut ended => {
                    let why = "the connection to the broker has ended";
                    return Err(Cause::from(why).lost(&self.address));
                }
                Some(taken) = running.next() => taken?,
                next = consumer.next(), if running.len() < most => {
                    let first = self.delivery(next)?;
                    let items = if is_inline {
                        vec![self.item(first)]
                    } else {
                        self.gathered(first, &mut consumer)
                    };
                    running.push(self.take(items, is_inline));
                }
            }
        }
        while let Some(taken) = running.next().await {
            taken?;
        }
        Ok(())
    }

    fn delivery(&self, next: Option<Result<Delivery, Error>>) -> Result<Delivery, TransportError> {
        let address = || self.address.to_string();
        match next {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(error)) => Err(Cause::of(error).lost(address())),
            None => {
                let why = "the broker has ended the consumer: its queue was deleted, say";
                Err(Cause::from(why).lost(address()))
            }
        }
    }

    /// What has arrived by now.
    fn gathered(&self, first: Delivery, consumer: &mut Consumer) -> Vec<Item> {
        let mut bytes = first.data.len();
        let mut items = vec![self.item(first)];
        while items.len() < MOST
            && bytes < MOST_BYTES
            && let Some(Some(Ok(delivery))) = consumer.next().now_or_never()
        {
            bytes += delivery.data.len();
            items.push(self.item(delivery));
        }
        items
    }
}
