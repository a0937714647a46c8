//! A sending link to one entity: transfers go out in order, and what becomes of each is awaited
//! beside the next ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Sendable, Sender};
use fe2o3_amqp_types::messaging::{Batch, Body, Data, Outcome as Answer};
use fe2o3_amqp_types::primitives::{Binary, Value};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;
use uuid::Uuid;

use super::connection::error::DialError;
use super::connection::{BrokerConnection, Connected};
use super::failure::{Fault, Refusal};
use super::message::{Letter, Outgoing, letter_of};
use crate::transport::TransportError;
use crate::transport::shared_connection::{Dial, SharedConnection};

/// Several messages in one transfer.
const BATCH_FORMAT: u32 = 0x8001_3700;
/// The most bytes of a batch, and what one takes beside its messages: its own properties, and the
/// head of each part.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_HEAD: usize = 1024;
const PART_HEAD: usize = 8;

/// The one link to an entity, attached when it is first used.
pub(super) type Publisher = SharedConnection<LinkDialler>;

/// Attaches the link.
#[derive(Debug)]
pub(super) struct LinkDialler {
    pub(super) connection: Arc<BrokerConnection>,
    /// The entity, as the broker calls it.
    pub(super) entity: String,
    pub(super) patience: Duration,
}

/// Why there is no link.
#[derive(Debug, Clone)]
pub(super) enum LinkError {
    Dial(DialError),
    Link(Fault),
}

impl LinkError {
    /// Nothing was sent.
    pub(super) fn not_sent(self, address: &str) -> TransportError {
        match self {
            Self::Dial(error) => error.not_sent(address),
            Self::Link(fault) => fault.not_sent(address),
        }
    }

    /// What the broker says no with, where the entity is not there.
    pub(super) fn not_found(&self) -> Option<&Refusal> {
        match self {
            Self::Link(fault) => fault.refusal().filter(|refusal| refusal.is_not_found()),
            Self::Dial(_) => None,
        }
    }
}

/// An attached link.
#[derive(Debug)]
pub(super) struct SendLink {
    pub(super) connected: Arc<Connected>,
    sender: tokio::sync::Mutex<Sender>,
    has_ended: AtomicBool,
    /// In bytes, as the broker has said it.
    limit: usize,
    /// The link lives as long as its session.
    _session: SessionHandle<()>,
}

/// What became of one message.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// The broker has it.
    Taken,
    /// The broker says no.
    Refused(Refusal),
    /// It has not left this process.
    NotSent(Fault),
    /// Whether it has arrived is unknown.
    Unknown(Fault),
}

impl Dial for LinkDialler {
    type Link = SendLink;
    type Error = LinkError;

    fn dial(&self) -> BoxFuture<'_, Result<SendLink, LinkError>> {
        Box::pin(async {
            let connected = self.connection.get_or_connect().await.map_err(LinkError::Dial)?;
            let attached = timeout(self.patience, self.attach(connected)).await;
            let late = |_late| Fault::Late(self.patience);
            attached.map_err(late).and_then(|attached| attached).map_err(LinkError::Link)
        })
    }

    fn is_usable(link: &SendLink) -> bool {
        !link.connected.is_ended() && !link.has_ended.load(Ordering::Relaxed)
    }

    fn given_up() -> LinkError {
        LinkError::Dial(DialError::Gone("dialling was given up".into()))
    }
}

impl LinkDialler {
    async fn attach(&self, connected: Arc<Connected>) -> Result<SendLink, Fault> {
        connected.authorize(&self.entity).await?;
        let mut session = connected.session().await?;
        let name = format!("{}-{}", self.entity, Uuid::now_v7().simple());
        let attaching = async {
            let attaching = Sender::builder()
                .name(name.clone())
                .source(name)
                .target(self.entity.as_str())
                .attach(&mut session);
            Ok(attaching.await?)
        };
        let sender = connected.unless_ended(attaching).await?;
        let limit = sender.max_message_size().and_then(|limit| usize::try_from(limit).ok());
        Ok(SendLink {
            connected,
            sender: tokio::sync::Mutex::new(sender),
            has_ended: AtomicBool::new(false),
            limit: limit.unwrap_or(usize::MAX),
            _session: session,
        })
    }
}

/// A link that has not ended while it was not used: the service ends those that are idle.
pub(super) async fn live(publisher: &Arc<Publisher>) -> Result<Arc<SendLink>, LinkError> {
    let link = publisher.get_or_connect().await?;
    let has_ended = link.sender.lock().await.on_detach().now_or_never().is_some();
    if !has_ended {
        return Ok(link);
    }
    link.has_ended.store(true, Ordering::Relaxed);
    publisher.get_or_connect().await
}

impl SendLink {
    /// The most bytes of a message, as the broker has said it.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Sends these one after the other, several in one transfer where they are small, and waits
    /// for what becomes of each.
    ///
    /// # Cancel safety
    /// Dropped, they may or may not have arrived.
    pub(super) async fn publish(&self, messages: &[Outgoing], patience: Duration) -> Vec<Outcome> {
        let groups = groups(messages, self.limit.min(BATCH_BYTES));
        let mut answers = Vec::with_capacity(groups.len());
        for group in &groups {
            answers.push(self.transfer(group, patience).await);
        }
        let answers = join_all(answers.into_iter().map(|answer| async {
            match answer {
                Ok(answer) => answer.await,
                Err(fault) => Outcome::NotSent(fault),
            }
        }));
        let mut outcomes = Vec::with_capacity(messages.len());
        for (group, outcome) in groups.iter().zip(answers.await) {
            let is_at_fault = matches!(&outcome, Outcome::Refused(it) if !it.is_busy());
            if group.len() > 1 && is_at_fault {
                // One of them is at fault: each by itself.
                for message in *group {
                    outcomes.push(self.publish_one(message, patience).await);
                }
            } else {
                outcomes.extend(std::iter::repeat_n(outcome, group.len()));
            }
        }
        outcomes
    }

    /// Sends one message.
    pub(super) async fn publish_one(&self, message: &Outgoing, patience: Duration) -> Outcome {
        match self.transfer(std::slice::from_ref(message), patience).await {
            Ok(answer) => answer.await,
            Err(fault) => Outcome::NotSent(fault),
        }
    }

    /// Hands a transfer to the connection; what is given waits for what becomes of it.
    ///
    /// # Errors
    /// The link has ended, and the transfer has not left.
    async fn transfer(
        &self,
        messages: &[Outgoing],
        patience: Duration,
    ) -> Result<impl Future<Output = Outcome> + Send + use<>, Fault> {
        let sendable = sendable(messages);
        let handed_over = async {
            // Credit is waited for here.
            let sent = self.sender.lock().await.send_batchable(sendable).await;
            Ok(sent?)
        };
        let handed_over = timeout(patience, self.connected.unless_ended(handed_over)).await;
        let handed_over = handed_over.map_err(|_late| Fault::Late(patience)).and_then(|it| it);
        let answer = handed_over.inspect_err(|_ended| {
            self.has_ended.store(true, Ordering::Relaxed);
        })?;
        let connected = Arc::clone(&self.connected);
        Ok(async move {
            let answer = async { Ok(answer.await?) };
            let answer = timeout(patience, connected.unless_ended(answer)).await;
            match answer.map_err(|_late| Fault::Late(patience)).and_then(|answer| answer) {
                Ok(Answer::Accepted(_)) => Outcome::Taken,
                Ok(Answer::Rejected(rejected)) => {
                    let refusal = rejected.error.map(Refusal::from);
                    let none = || Refusal::new("amqp:rejected", "the broker rejected it");
                    Outcome::Refused(refusal.unwrap_or_else(none))
                }
                Ok(_given_back) => {
                    Outcome::Refused(Refusal::new("amqp:released", "the broker gave it back"))
                }
                Err(fault) => Outcome::Unknown(fault),
            }
        })
    }
}

/// Messages that go together: not too many bytes, and all of one session.
fn groups(messages: &[Outgoing], limit: usize) -> Vec<&[Outgoing]> {
    let (mut groups, mut start, mut bytes) = (Vec::new(), 0, BATCH_HEAD);
    for (at, message) in messages.iter().enumerate() {
        let size = message.bytes.len() + PART_HEAD;
        let is_other = at > start && session(&messages[at - 1]) != session(message);
        if at > start && (bytes + size > limit || is_other) {
            groups.push(&messages[start..at]);
            (start, bytes) = (at, BATCH_HEAD);
        }
        bytes += size;
    }
    if start < messages.len() {
        groups.push(&messages[start..]);
    }
    groups
}

fn session(message: &Outgoing) -> Option<&str> {
    message.letter.properties.as_ref()?.group_id.as_deref()
}

fn sendable(messages: &[Outgoing]) -> Sendable<Body<Value>> {
    let [first, _, ..] = messages else {
        let letter = messages.first().map(|only| only.letter.clone());
        return Sendable::builder().message(letter.unwrap_or_else(|| letter_of(&[]))).build();
    };
    let part = |message: &Outgoing| Data(Binary::from(message.bytes.clone()));
    let parts: Vec<Data> = messages.iter().map(part).collect();
    // The service looks at the first message for what all have in common.
    let letter = Letter {
        body: Body::Data(Batch::new(parts)),
        application_properties: None,
        message_annotations: None,
        ..first.letter.clone()
    };
    Sendable::builder().message(letter).message_format(BATCH_FORMAT).build()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::message::write;
    use super::*;
    use crate::envelope::{Envelope, time};
    use crate::message::MessageType;
    use crate::transport::Guarantee;

    fn outgoing(bytes: usize, group: Option<&str>) -> Outgoing {
        let (to, payload) = ("asb://queue/a".parse().unwrap(), Bytes::from(vec![7; bytes]));
        let mut envelope = Envelope::new(MessageType::new("a.b", 1), "text/plain", payload, to);
        envelope.group_id = group.map(str::to_owned);
        Outgoing::of(write(&envelope, Guarantee::Stored, time::now())).unwrap()
    }

    #[test]
    fn a_transfer_has_messages_of_one_session_and_no_more_bytes_than_fit() {
        let messages = [
            outgoing(10, None),
            outgoing(10, None),
            outgoing(10, Some("ada")),
            outgoing(10, Some("ada")),
            outgoing(9_000, Some("ada")),
            outgoing(20_000, Some("ada")),
        ];
        let sizes: Vec<_> = groups(&messages, 10_000).iter().map(|group| group.len()).collect();
        assert_eq!(sizes, [2, 2, 1, 1]);
        assert!(groups(&[], 10).is_empty());
        let batch = sendable(&messages[..2]);
        assert_eq!(batch.message_format, BATCH_FORMAT);
        let whole = Outgoing::of(batch.message).unwrap().bytes.len();
        let parts: usize = messages[..2].iter().map(|it| it.bytes.len() + PART_HEAD).sum();
        assert!(whole <= parts + BATCH_HEAD, "{whole} bytes");
    }
}
