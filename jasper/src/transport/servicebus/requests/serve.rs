//! The side that answers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::messaging::MessageId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::super::message::{Letter, Outgoing, text_property};
use super::super::publisher::{Outcome, Publisher, live};
use super::answer::{Reply, write};
use super::names::TIMEOUT;
use crate::envelope::Envelope;
use crate::transport::{
    FailureKind, ReceivedRequest, Receiver, RemoteFailure, TransportError, Unreadable,
};

/// The most requests at one time.
const MOST: usize = 256;
/// How long an answer may take before the sender is to know that its handler runs.
const NOTE_AFTER: Duration = Duration::from_secs(1);
/// How long the broker may take to say that it has an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request: where its answer goes, and how long that is waited for.
#[derive(Debug, Clone)]
pub(in super::super) struct Asked {
    reply_to: String,
    session: Option<String>,
    id: MessageId,
    timeout: Duration,
}

/// What a message asks for, if it asks.
pub(in super::super) fn asked(letter: &Letter) -> Option<Asked> {
    let timeout = text_property(letter, TIMEOUT)?.parse().ok()?;
    let properties = letter.properties.as_ref()?;
    Some(Asked {
        reply_to: properties.reply_to.clone()?,
        session: properties.reply_to_group_id.clone(),
        id: properties.message_id.clone()?,
        timeout: Duration::from_millis(timeout),
    })
}

/// Answers requests.
#[derive(Debug)]
pub(in super::super) struct Serving {
    receiver: Arc<dyn Receiver>,
    /// The one queue to which answers go, with the link to it.
    replies: Option<(String, Arc<Publisher>)>,
    places: Arc<Semaphore>,
    /// Handlers that run: they last when the connection of the listener does not.
    running: TaskTracker,
}

impl Serving {
    pub(in super::super) fn new(
        receiver: Arc<dyn Receiver>,
        replies: Option<(String, Arc<Publisher>)>,
    ) -> Arc<Self> {
        let (places, running) = (Arc::new(Semaphore::new(MOST)), TaskTracker::new());
        running.close();
        Arc::new(Self { receiver, replies, places, running })
    }

    /// Why a request is not answered: its answer would go where the configuration does not say.
    pub(in super::super) fn refusal(&self, asked: &Asked) -> Option<String> {
        let is_known = |(queue, _): &(String, _)| queue.eq_ignore_ascii_case(&asked.reply_to);
        if self.replies.as_ref().is_some_and(is_known) {
            return None;
        }
        Some(format!(
            "its answer is to go to `{}`, which is not the `reply_queue` of this application",
            asked.reply_to
        ))
    }

    /// A place among the requests that run.
    pub(in super::super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Runs the handler in a task of its own.
    pub(in super::super) fn begin(
        self: &Arc<Self>,
        asked: Asked,
        envelope: Result<Envelope, Unreadable>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let serving = Arc::clone(self);
        self.running.spawn(async move {
            if let Err(error) = serving.answer(asked, envelope).await {
                tracing::warn!(%error, "a request has no answer");
            }
            drop(place);
        });
    }

    /// Waits until all are answered.
    pub(in super::super) async fn end(&self) {
        self.running.wait().await;
    }

    /// Runs the handler and sends what it answers.
    ///
    /// # Errors
    /// The answer has not reached the broker.
    async fn answer(
        &self,
        asked: Asked,
        envelope: Result<Envelope, Unreadable>,
    ) -> Result<(), TransportError> {
        let timeout = asked.timeout;
        let answered = async {
            match envelope {
                Ok(envelope) => {
                    let request = ReceivedRequest { peer: None, envelope, timeout };
                    self.receiver.answer(request).await
                }
                Err(Unreadable { error, .. }) => {
                    Err(RemoteFailure::new(FailureKind::Codec, error.to_string()))
                }
            }
        };
        let mut answered = pin!(answered);
        let answer = tokio::select! {
            answer = &mut answered => answer,
            () = tokio::time::sleep(NOTE_AFTER) => {
                // Without it, the sender gives up sooner, and nothing else happens.
                let (noted, answer) = tokio::join!(self.send(&asked, Reply::Taken), answered);
                if let Err(error) = noted {
                    tracing::debug!(%error, "the sender of a request does not know that it runs");
                }
                answer
            }
        };
        self.send(&asked, Reply::Answered(answer)).await
    }

    async fn send(&self, asked: &Asked, reply: Reply) -> Result<(), TransportError> {
        let Some((queue, publisher)) = &self.replies else {
            return Ok(());
        };
        let address = format!("asb://queue/{queue}");
        let failed =
            |why: String| TransportError::Rejected { address: address.clone(), why, source: None };
        let letter = write(reply, asked.id.clone(), asked.session.clone());
        let message = Outgoing::of(letter).map_err(failed)?;
        let link = live(publisher).await.map_err(|error| error.not_sent(&address))?;
        match link.publish_one(&message, PATIENCE).await {
            Outcome::Taken => Ok(()),
            Outcome::Refused(refusal) => Err(failed(refusal.to_string())),
            Outcome::NotSent(fault) => Err(fault.not_sent(&address)),
            Outcome::Unknown(fault) => Err(fault.lost(&address)),
        }
    }
}
