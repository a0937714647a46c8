//! What the receiver will never take, and what has no store to keep it as a dead letter.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};

use super::super::declare::declare;
use super::super::endpoint::RabbitEndpoint;
use super::super::failure::no_connection;
use super::super::message::{Outgoing, REFUSED};
use super::super::publisher::Outcome;
use super::super::topology::{DeadLettersTo, Queue, Topology};
use super::intake::Item;
use super::listener::Listening;

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
        let (to, topology) = self.place_of_dead_letters();
        tracing::warn!(address = %self.address, why, queue = to.key, "a message is refused");
        let connected = self.publisher.connected().await;
        let connected =
            connected.map_err(|error| no_connection(self.address.as_str(), error).to_string())?;
        let endpoint = RabbitEndpoint { topology, ..self.endpoint.clone() };
        let declared = declare(&connected, self.address.as_str(), &endpoint).await;
        declared.map_err(|error| error.to_string())?;
        let mut headers: FieldTable = item.properties.headers().clone().unwrap_or_default();
        headers.insert(REFUSED.into(), AMQPValue::LongString(why.into()));
        let message = Outgoing {
            exchange: to.exchange.as_str().into(),
            key: to.key.as_str().into(),
            properties: item.properties.clone().with_headers(headers),
            payload: item.payload.clone(),
        };
        let published = self.publisher.publish(&connected, &[message], PATIENCE).await;
        match published.map_err(|error| error.to_string())?.pop() {
            Some(Outcome::Taken) => Ok(()),
            Some(Outcome::Unroutable(why)) => Err(why),
            _ => Err(format!("the broker has not taken it into `{}`", to.key)),
        }
    }

    /// Where the queue itself puts what it gives up, or a queue beside it.
    fn place_of_dead_letters(&self) -> (DeadLettersTo, Topology) {
        if let Some(to) = &self.endpoint.dead_letters {
            return (to.clone(), self.endpoint.topology.clone());
        }
        let key = queue_of_dead_letters(self.endpoint.queue_name());
        let queues = vec![Queue::quorum(&*key)];
        let to = DeadLettersTo { exchange: String::new(), key };
        (to, Topology { queues, ..Topology::default() })
    }
}
