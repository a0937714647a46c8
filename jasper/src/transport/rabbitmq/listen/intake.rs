//! From deliveries to the receiver, and what is acknowledged.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::types::{AMQPValue, ShortString};
use lapin::{Acker, BasicProperties, Error};

use super::super::failure::not_sent;
use super::super::listen_options::Offset;
use super::super::message::{Death, death, foreign, guarantee, read};
use super::listener::Listening;
use crate::envelope::{DecodeError, Envelope, MessageId};
use crate::telemetry::{DESTINATION, REDELIVERED};
use crate::transport::cause::Cause;
use crate::transport::mapped::read_by;
use crate::transport::receipts::{Offer, receipts};
use crate::transport::{Guarantee, Receipt, ReceivedDeadLetter, TransportError, Unreadable};

/// A message that has come and is not acknowledged.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) properties: BasicProperties,
    pub(super) payload: Bytes,
    acker: Acker,
    guarantee: Guarantee,
    envelope: Result<Envelope, Unreadable>,
    /// Where it lies in a stream.
    stream_offset: Option<i64>,
}

/// Where the broker writes the stream_offset of a message in its stream.
const PLACE: &str = "x-stream-offset";

impl Offer for Item {
    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    fn envelope(&self) -> &Result<Envelope, Unreadable> {
        &self.envelope
    }

    fn dead_letter(&self) -> ReceivedDeadLetter {
        let Death { kind, why } = death(&self.properties);
        ReceivedDeadLetter { envelope: self.envelope.clone(), kind, why }
    }
}

/// How long what is not taken waits, at first and at most.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

impl Listening {
    pub(super) fn item(&self, delivery: Delivery) -> Item {
        let Delivery { properties, data, acker, redelivered, routing_key, .. } = delivery;
        if redelivered {
            let name = self.address.as_str().to_owned();
            metrics::counter!(REDELIVERED, DESTINATION => name).increment(1);
        }
        let payload = Bytes::from(data);
        let guarantee = guarantee(&properties);
        let stream_offset = stream_offset_of(&properties);
        let envelope = match self.read(&properties, &payload, &routing_key, stream_offset) {
            Ok(envelope) => Ok(Envelope { redelivered, ..envelope }),
            Err(error) => Err(Unreadable { bytes: payload.clone(), error }),
        };
        Item { properties, payload, acker, guarantee, envelope, stream_offset }
    }

    fn read(
        &self,
        properties: &BasicProperties,
        payload: &Bytes,
        routing_key: &ShortString,
        stream_offset: Option<i64>,
    ) -> Result<Envelope, DecodeError> {
        if let Some(mapper) = &self.mapper {
            let message = foreign(properties, payload.clone(), routing_key);
            if let Some(envelope) = read_by(&**mapper, &message, &self.address)? {
                return Ok(envelope);
            }
        }
        let to = self.address.clone();
        let assumed = self.endpoint.listening.default_type.as_ref();
        let mut envelope = read(properties, payload.clone(), to, assumed)?;
        if let (None, Some(stream_offset)) = (properties.message_id(), stream_offset) {
            // The same each time that the stream is read.
            let name = format!("{} {stream_offset}", self.endpoint.queue_name());
            envelope.id = MessageId::of_bytes(name.as_bytes());
        }
        Ok(envelope)
    }

    /// Gives these to the receiver until all are taken. What is not taken stays here, and is not
    /// given back to the broker: it would come again at once.
    ///
    /// # Errors
    /// The channel has ended.
    pub(super) async fn take(
        &self,
        mut items: Vec<Item>,
        is_one_of_many: bool,
    ) -> Result<(), TransportError> {
        let mut pause = FIRST;
        loop {
            let Some(why) = self.offer(&mut items, is_one_of_many).await? else {
                return Ok(());
            };
            self.state.note_waiting(&why);
            let wait = tokio::time::sleep(pause);
            if self.stop.run_until_cancelled(wait).await.is_none() {
                return Ok(());
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Offers them once, and leaves those that are not taken. Why they are not, if there are any.
    async fn offer(
        &self,
        items: &mut Vec<Item>,
        is_one_of_many: bool,
    ) -> Result<Option<String>, TransportError> {
        let are_dead_letters = self.endpoint.listening.is_of_dead_letters;
        let receipts = receipts(&*self.receiver, items, are_dead_letters).await;
        let (mut taken, mut left, mut why) = (Vec::new(), Vec::new(), None);
        for (item, receipt) in items.drain(..).zip(receipts) {
            match receipt {
                Receipt::Accepted => taken.push(item),
                Receipt::Refused { why: refused } => match self.refuse(&item, &refused).await {
                    Ok(()) => taken.push(item),
                    Err(error) => {
                        why = Some(error);
                        left.push(item);
                    }
                },
                Receipt::Deferred { why: deferred } | Receipt::Unknown { why: deferred } => {
                    why = Some(deferred.into_owned());
                    left.push(item);
                }
            }
        }
        // Nothing else is open on the channel then, so that one answer is enough for all.
        let at_once = left.is_empty() && !is_one_of_many;
        self.acknowledge(&taken, at_once).await?;
        self.note_stream_offset(&taken, &left);
        if left.is_empty() {
            self.state.note_taken();
        }
        *items = left;
        Ok(why)
    }

    /// Where a stream goes on, should the connection end now.
    fn note_stream_offset(&self, taken: &[Item], left: &[Item]) {
        let first_left = left.iter().filter_map(|item| item.stream_offset).min();
        let after_taken =
            taken.iter().filter_map(|item| item.stream_offset).max().map(|last| last + 1);
        if let Some(next) = first_left.or(after_taken) {
            *self.position.lock() = Some(Offset::At(next));
        }
    }

    async fn acknowledge(&self, items: &[Item], at_once: bool) -> Result<(), TransportError> {
        let failed = |error: Error| not_sent(self.address.as_str(), &error);
        let ackers: Vec<_> = match (at_once, items) {
            (true, [.., last]) => vec![&last.acker],
            _ => items.iter().map(|item| &item.acker).collect(),
        };
        let options = BasicAckOptions { multiple: at_once };
        let acknowledged = ackers.into_iter().map(|acker| acker.ack(options));
        let acknowledged = try_join_all(acknowledged).await.map_err(failed)?;
        if acknowledged.into_iter().all(|is_done| is_done) {
            return Ok(());
        }
        let why = "the channel ended before what has come was acknowledged";
        Err(Cause::from(why).lost(&self.address))
    }
}

fn stream_offset_of(properties: &BasicProperties) -> Option<i64> {
    match properties.headers().as_ref()?.inner().get(PLACE)? {
        AMQPValue::LongLongInt(stream_offset) => Some(*stream_offset),
        _ => None,
    }
}
