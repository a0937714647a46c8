//! The side that asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Delivery, Receiver};
use fe2o3_amqp_types::messaging::{Body, MessageId, Source};
use fe2o3_amqp_types::primitives::{SimpleValue, Symbol, Value};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::super::connection::{BrokerConnection, Connected, Management};
use super::super::failure::{Fault, STOPPED};
use super::super::message::{Outgoing, write};
use super::super::publisher::{LinkError, Outcome, Publisher, live};
use super::answer::{Reply, read};
use super::names::TIMEOUT;
use crate::envelope::time;
use crate::transport::cause::Cause;
use crate::transport::shared_connection::{Dial, SharedConnection};
use crate::transport::{Answer, Guarantee, Request, TransportError};

const SESSION_FILTER: &str = "com.microsoft:session-filter";
const CREDIT: u32 = 500;
/// The longest time between two renewals of the session.
const LONGEST: Duration = Duration::from_secs(15);

/// Sends requests to one namespace.
#[derive(Debug, Clone)]
pub(in super::super) struct Requester {
    replies: Arc<SharedConnection<AskDialler>>,
    /// How long a request may lie in its queue.
    pick_up: Duration,
}

/// Attaches to the queue of answers, at a session of its own.
#[derive(Debug)]
pub(in super::super) struct AskDialler {
    connection: Arc<BrokerConnection>,
    queue: String,
    patience: Duration,
}

/// The session at which answers come, and what waits for one.
#[derive(Debug)]
pub(in super::super) struct Asking {
    connected: Arc<Connected>,
    queue: String,
    session_id: String,
    waiting: Waiting,
    tasks: [JoinHandle<()>; 2],
    /// The link lives as long as its session.
    _session: SessionHandle<()>,
}

/// By the id of the request. Where the session is lost, all are dropped.
type Waiting = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Reply>>>>;

impl Dial for AskDialler {
    type Link = Asking;
    type Error = LinkError;

    fn dial(&self) -> BoxFuture<'_, Result<Asking, LinkError>> {
        Box::pin(async {
            let connected = self.connection.get_or_connect().await.map_err(LinkError::Dial)?;
            let attached = timeout(self.patience, self.attach(connected)).await;
            let late = |_late| Fault::Late(self.patience);
            attached.map_err(late).and_then(|attached| attached).map_err(LinkError::Link)
        })
    }

    fn is_usable(link: &Asking) -> bool {
        !link.connected.is_ended() && link.tasks.iter().all(|task| !task.is_finished())
    }

    fn given_up() -> LinkError {
        LinkError::Link(Fault::Ended("dialling was given up".into()))
    }
}

impl AskDialler {
    async fn attach(&self, connected: Arc<Connected>) -> Result<Asking, Fault> {
        connected.authorize(&self.queue).await?;
        let mut session = connected.session().await?;
        let session_id = Uuid::now_v7().simple().to_string();
        let filter = Value::String(session_id.clone());
        let source = Source::builder()
            .address(self.queue.clone())
            .add_to_filter_using_legacy_format(Symbol::from(SESSION_FILTER), filter)
            .build();
        let attaching = async {
            let attaching = Receiver::builder()
                .name(format!("{}-{session_id}", self.queue))
                .source(source)
                .credit_mode(CreditMode::Auto(CREDIT))
                .auto_accept(true)
                .attach(&mut session);
            Ok(attaching.await?)
        };
        let receiver = connected.unless_ended(attaching).await?;
        let waiting = Waiting::default();
        let handing_out = hand_out(Arc::clone(&connected), receiver, Arc::clone(&waiting));
        let renewing = renew(Arc::clone(&connected), self.queue.clone(), session_id.clone());
        let tasks = [tokio::spawn(handing_out), tokio::spawn(renewing)];
        let queue = self.queue.clone();
        Ok(Asking { connected, queue, session_id, waiting, tasks, _session: session })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Gives each answer to what waits for it.
async fn hand_out(connected: Arc<Connected>, mut receiver: Receiver, waiting: Waiting) {
    loop {
        let received: Result<Delivery<Body<Value>>, _> = tokio::select! {
            received = receiver.recv() => received,
            () = connected.ended() => break,
        };
        let letter = match received {
            Ok(delivery) => delivery.into_message(),
            Err(error) => {
                let error = Fault::from(error);
                tracing::debug!(%error, "no more answers come");
                break;
            }
        };
        let request = letter.properties.as_ref().and_then(|it| it.correlation_id.as_ref());
        if let Some(MessageId::String(request)) = request
            && let Some(asked) = waiting.lock().get(request)
        {
            // What asked may have given up.
            let _ = asked.send(read(&letter));
        }
    }
    waiting.lock().clear();
}

/// Keeps the session, until it is lost.
async fn renew(connected: Arc<Connected>, queue: String, session_id: String) {
    let mut management = None;
    loop {
        let node = match &management {
            Some(node) => node,
            None => match Management::attach(&connected, &queue).await {
                Ok(node) => management.insert(node),
                Err(error) => return tracing::debug!(%error, "no node to renew a session by"),
            },
        };
        match node.renew_session(&session_id).await {
            Ok(until) => {
                let left = until.duration_since(time::now()).unwrap_or(LONGEST);
                tokio::time::sleep((left / 2).min(LONGEST)).await;
            }
            Err(error) => return tracing::warn!(%error, "the session of answers is lost"),
        }
    }
}

impl Requester {
    pub(in super::super) fn new(
        connection: Arc<BrokerConnection>,
        queue: String,
        patience: Duration,
        pick_up: Duration,
    ) -> Self {
        let dialler = AskDialler { connection, queue, patience };
        Self { replies: SharedConnection::new(dialler), pick_up }
    }

    /// Sends a request by this link, and waits for its answer.
    ///
    /// # Errors
    /// There is no answer.
    pub(in super::super) async fn ask(
        &self,
        address: &str,
        publisher: &Arc<Publisher>,
        request: Request,
    ) -> Result<Answer, TransportError> {
        let limit = request.timeout;
        // A time-out of centuries is none.
        let deadline = Instant::now() + limit.min(Duration::from_secs(u64::from(u32::MAX)));
        let late = |_late| TransportError::Deadline { address: address.to_owned(), limit };
        let asking = timeout_at(deadline, self.replies.get_or_connect()).await.map_err(late)?;
        let asking = asking.map_err(|error| error.not_sent(address))?;
        let asked = asking.ask(address, publisher, request, self.pick_up);
        timeout_at(deadline, asked).await.map_err(late)?
    }
}

impl Asking {
    async fn ask(
        &self,
        address: &str,
        publisher: &Arc<Publisher>,
        request: Request,
        pick_up: Duration,
    ) -> Result<Answer, TransportError> {
        let id = request.envelope.id.to_string();
        let (answer, mut answers) = mpsc::unbounded_channel();
        self.waiting.lock().insert(id.clone(), answer);
        let _noted = Noted { waiting: &self.waiting, id: &id };
        let link = live(publisher).await.map_err(|error| error.not_sent(address))?;
        let failed = |why: String| Cause::from(why).rejected(address);
        let message = self.message(&request, pick_up).map_err(failed)?;
        if message.bytes.len() > link.limit() {
            let (address, size, limit) = (address.to_owned(), message.bytes.len(), link.limit());
            return Err(TransportError::TooLarge { address, size, limit });
        }
        match link.publish_one(&message, request.timeout).await {
            Outcome::Taken => {}
            Outcome::Refused(refusal) => return Err(Fault::Refused(refusal).not_sent(address)),
            Outcome::NotSent(fault) => return Err(fault.not_sent(address)),
            Outcome::Unknown(fault) => return Err(fault.lost(address)),
        }
        let lost = || Cause::from(STOPPED).lost(address);
        // It lies in its queue until then, or is taken and answered; a second more for the way.
        let first = timeout(pick_up + Duration::from_secs(2), answers.recv()).await;
        let limit = pick_up;
        let mut reply = first.map_err(|_late| {
            tracing::debug!(address, "no process has taken a request");
            TransportError::Deadline { address: address.to_owned(), limit }
        })?;
        loop {
            match reply.ok_or_else(lost)? {
                Reply::Answered(answer) => return Ok(answer),
                Reply::Taken => reply = answers.recv().await,
            }
        }
    }

    fn message(&self, request: &Request, pick_up: Duration) -> Result<Outgoing, String> {
        let mut letter = write(&request.envelope, Guarantee::InMemory, time::now());
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        // A request that nothing has taken by then is of no use any more.
        let header = letter.header.get_or_insert_default();
        header.ttl = Some(millis(request.timeout.min(pick_up)).max(1));
        let properties = letter.properties.get_or_insert_default();
        properties.reply_to = Some(self.queue.clone());
        properties.reply_to_group_id = Some(self.session_id.clone());
        let timeout = SimpleValue::String(millis(request.timeout).to_string());
        letter.application_properties.get_or_insert_default().0.insert(TIMEOUT.to_owned(), timeout);
        Outgoing::of(letter)
    }
}

/// A request that is waited for, until this is dropped.
struct Noted<'a> {
    waiting: &'a Waiting,
    id: &'a str,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(self.id);
    }
}
