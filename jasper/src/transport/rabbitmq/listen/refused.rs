//! What the receiver will never take, and what has no store to keep it as a dead letter.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};

use super::super::declare::declare;
use super::super::destination::{Destination, Place};
use super::super::failure::no_connection;
use super::super::message::Outgoing;
use super::super::publisher::Outcome;
use super::super::topology::{Queue, Topology};
use super::intake::Item;
use super::listener::Listening;

/// Why it was refused.
const WHY: &str = "jasper-refused";
const PATIENCE: Duration = Duration::from_secs(30);

/// The queue beside this one for what is refused.
fn queue_of_dead_letters(queue: &str) -> String {
    format!("{queue}.dead-letters")
}

impl Listening {
    /// Puts it into the queue of dead letters.
    ///
    /// # Errors
    /// It is not there; said in words.
    pub(super) async fn refuse(&self, item: &Item, why: &str) -> Result<(), String> {
        let queue = queue_of_dead_letters(self.wanted.queue_name());
        tracing::warn!(address = %self.address, why, queue, "a message is refused");
        let connected = self.publisher.connected().await;
        let connected =
            connected.map_err(|error| no_connection(self.address.as_str(), error).to_string())?;
        let topology = Topology { queues: vec![Queue::quorum(&*queue)], ..Topology::default() };
        let wanted =
            Destination { place: Place::Queue(queue.clone()), topology, ..self.wanted.clone() };
        let declared = declare(&connected, self.address.as_str(), &wanted).await;
        declared.map_err(|error| error.to_string())?;
        let mut headers: FieldTable = item.properties.headers().clone().unwrap_or_default();
        headers.insert(WHY.into(), AMQPValue::LongString(why.into()));
        let message = Outgoing {
            exchange: "".into(),
            key: queue.as_str().into(),
            properties: item.properties.clone().with_headers(headers),
            payload: item.payload.clone(),
        };
        let published = self.publisher.publish(&connected, &[message], PATIENCE).await;
        match published.map_err(|error| error.to_string())?.pop() {
            Some(Outcome::Taken) => Ok(()),
            Some(Outcome::Unroutable(why)) => Err(why),
            _ => Err(format!("the broker has not taken it into `{queue}`")),
        }
    }
}
