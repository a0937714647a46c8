//! Declaring what an endpoint needs, and comparing it with what the broker has.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Error};

use super::connection::Connected;
use super::endpoint::RabbitEndpoint;
use super::failure::{fault_of, is_not_found, is_not_permitted, not_sent};
use super::topology::{Exchange, Queue, table};
use crate::transport::TransportError;
use crate::transport::declare::Declare;

/// Declares what this endpoint needs, as far as it may.
///
/// # Errors
/// The broker has it otherwise, or does not have it, or the connection is gone.
pub(super) async fn declare(
    connected: &Arc<Connected>,
    address: &str,
    endpoint: &RabbitEndpoint,
) -> Result<(), TransportError> {
    let declaring = Declaring { connected, address, mode: endpoint.declare };
    if endpoint.declare == Declare::Never {
        return Ok(());
    }
    for exchange in &endpoint.topology.exchanges {
        // Those of the broker are there.
        if !exchange.name.starts_with("amq.") {
            declaring.exchange(exchange).await?;
        }
    }
    for queue in &endpoint.topology.queues {
        declaring.queue(queue).await?;
    }
    if endpoint.declare == Declare::Provision {
        for binding in &endpoint.topology.bindings {
            let channel = declaring.channel().await?;
            let (queue, exchange) =
                (binding.queue.as_str().into(), binding.exchange.as_str().into());
            let (key, options) = (binding.key.as_str().into(), QueueBindOptions::default());
            let bound = channel.queue_bind(queue, exchange, key, options, FieldTable::default());
            connected.unless_ended(bound).await.map_err(|error| not_sent(address, &error))?;
        }
    }
    Ok(())
}

/// What the broker answers, where there is a channel to ask on.
type Declared = Result<Result<(), Error>, TransportError>;

struct Declaring<'a> {
    connected: &'a Arc<Connected>,
    address: &'a str,
    mode: Declare,
}

impl Declaring<'_> {
    /// A channel of its own for each question, as an answer that says no ends it.
    async fn channel(&self) -> Result<Channel, TransportError> {
        let channel = self.connected.unless_ended(self.connected.connection.create_channel()).await;
        channel.map_err(|error| not_sent(self.address, &error))
    }

    async fn queue(&self, queue: &Queue) -> Result<(), TransportError> {
        let what = format!("the queue `{}`", queue.name);
        let declare = |passive: bool| {
            let options = QueueDeclareOptions { durable: true, passive, ..Default::default() };
            let (name, arguments) = (queue.name.as_str().into(), table(&queue.arguments));
            let declared = async move {
                let channel = self.channel().await?;
                let declared = channel.queue_declare(name, options, arguments);
                Ok(self.connected.unless_ended(declared).await.map(drop))
            };
            declared.boxed()
        };
        self.compare(&what, declare).await
    }

    async fn exchange(&self, exchange: &Exchange) -> Result<(), TransportError> {
        let what = format!("the exchange `{}`", exchange.name);
        let declare = |passive: bool| {
            let options = ExchangeDeclareOptions { durable: true, passive, ..Default::default() };
            let (kind, arguments) = (exchange.kind.clone(), table(&exchange.arguments));
            let name = exchange.name.as_str().into();
            let declared = async move {
                let channel = self.channel().await?;
                let declared = channel.exchange_declare(name, kind, options, arguments);
                Ok(self.connected.unless_ended(declared).await)
            };
            declared.boxed()
        };
        self.compare(&what, declare).await
    }

    /// A declaration of what is there makes nothing, and the broker compares it.
    async fn compare<'a>(
        &'a self,
        what: &str,
        declare: impl Fn(bool) -> BoxFuture<'a, Declared>,
    ) -> Result<(), TransportError> {
        if self.mode == Declare::Check
            && let Err(error) = declare(true).await?
        {
            if !is_not_found(&error) {
                return Err(not_sent(self.address, &error));
            }
            let why = format!("{what} is not there; make it, or write `declare=provision`");
            return Err(self.mismatch(why));
        }
        match declare(false).await? {
            Ok(()) => Ok(()),
            // That it is there is all that such a user may know.
            Err(error) if self.mode == Declare::Check && is_not_permitted(&error) => Ok(()),
            Err(error) => Err(self.refused(what, &error)),
        }
    }

    fn refused(&self, what: &str, error: &Error) -> TransportError {
        match fault_of(error).and_then(|fault| difference(&fault.why)) {
            Some(difference) => self.mismatch(format!("{what} {difference}")),
            None => not_sent(self.address, error),
        }
    }

    fn mismatch(&self, why: String) -> TransportError {
        TransportError::Mismatch { address: self.address.to_owned(), why }
    }
}

/// What is otherwise, from what the broker says: `inequivalent arg 'x' for queue 'q' in vhost '/':
/// received 'a' but current is 'b'`.
fn difference(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("inequivalent arg '")?;
    let (argument, rest) = rest.split_once('\'')?;
    let (_, values) = rest.split_once("received ")?;
    let (here, there) = values.split_once(" but current is ")?;
    let value = |text: &str| match text.trim().trim_start_matches("the value ").trim_matches('\'') {
        value if value.starts_with("none") => "not set".to_owned(),
        value => format!("`{}`", value.split("' of type").next().unwrap_or(value)),
    };
    Some(format!(
        "differs in `{argument}`: {} here, {} at the broker; change one of the two, or have the \
         broker delete it first",
        value(here),
        value(there)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_both_sides() {
        let said = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost \
                    '/': received 'quorum' but current is 'classic'";
        let told = difference(said).unwrap();
        assert!(
            told.starts_with("differs in `x-queue-type`: `quorum` here, `classic` at"),
            "{told}"
        );
        let said = "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but \
                    current is the value '5' of type 'signedint'";
        let told = difference(said).unwrap();
        assert!(told.contains("not set here, `5` at the broker"), "{told}");
        assert_eq!(difference("NOT_FOUND - no queue"), None);
    }
}
