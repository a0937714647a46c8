//! Requests to a node of the broker, `$cbs` or `$management`, with their responses.
//!
//! Several are under way at once, and one that is given up leaves nothing behind that a later one
//! could take for its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Delivery, Receiver, Sendable, Sender};
use fe2o3_amqp_types::messaging::{
    ApplicationProperties, Body, MessageId, Outcome, Properties, Source, Target,
};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Value};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::super::failure::{Fault, Refusal, STOPPED};
use super::super::message::{Letter, number, property, text_property};

/// How many responses may be under way.
const CREDIT: u32 = 200;

/// A pair of links to one node.
#[derive(Debug)]
pub(super) struct RequestLink {
    sender: tokio::sync::Mutex<Sender>,
    waiting: Waiting,
    reply_to: String,
    last: AtomicU64,
    receiving: AbortHandle,
    /// The links live as long as their session.
    _session: SessionHandle<()>,
}

/// By the number of the request.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Letter>>>>;

/// A request: its application properties and its body.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) properties: Vec<(&'a str, SimpleValue)>,
    pub(super) body: Value,
}

impl RequestLink {
    /// Attaches both links.
    ///
    /// # Errors
    /// The broker refuses one of them, or the session has ended.
    pub(super) async fn attach(mut session: SessionHandle<()>, node: &str) -> Result<Self, Fault> {
        let reply_to = format!("{node}-{}", Uuid::now_v7().simple());
        let sender = Sender::builder()
            .name(format!("{reply_to}-requests"))
            .source(reply_to.clone())
            .target(node)
            .attach(&mut session)
            .await?;
        let receiver = Receiver::builder()
            .name(format!("{reply_to}-responses"))
            .source(Source::from(node))
            .target(Target::from(reply_to.as_str()))
            .credit_mode(CreditMode::Auto(CREDIT))
            .auto_accept(true)
            .attach(&mut session)
            .await?;
        let waiting = Waiting::default();
        let receiving = tokio::spawn(hand_out(receiver, Arc::clone(&waiting))).abort_handle();
        let (sender, last) = (tokio::sync::Mutex::new(sender), AtomicU64::new(0));
        Ok(Self { sender, waiting, reply_to, last, receiving, _session: session })
    }

    /// Whether responses still come.
    pub(super) fn is_usable(&self) -> bool {
        !self.receiving.is_finished()
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// The node refuses it, or there is no response.
    ///
    /// # Cancel safety
    /// Dropped, the request may or may not have taken effect.
    pub(super) async fn ask(&self, asked: Asked<'_>, limit: Duration) -> Result<Letter, Fault> {
        let number = self.last.fetch_add(1, Ordering::Relaxed).to_string();
        let (respond, response) = oneshot::channel();
        self.waiting.lock().insert(number.clone(), respond);
        let _noted = Noted { waiting: &self.waiting, number: &number };
        let request = self.request(&number, asked);
        let answered = async {
            let outcome = self.sender.lock().await.send_batchable(request).await?;
            let response = async { response.await.map_err(|_| Fault::Ended(STOPPED.into())) };
            tokio::pin!(response);
            tokio::select! {
                biased;
                response = &mut response => response,
                outcome = outcome => {
                    if let Outcome::Rejected(rejected) = outcome? {
                        return Err(refused(rejected.error.map(Refusal::from)));
                    }
                    response.await
                }
            }
        };
        let response = timeout(limit, answered).await.map_err(|_late| Fault::Late(limit))??;
        checked(response)
    }

    fn request(&self, number: &str, asked: Asked<'_>) -> Sendable<Body<Value>> {
        let mut properties = OrderedMap::new();
        for (name, value) in asked.properties {
            properties.insert(name.to_owned(), value);
        }
        let letter = Letter {
            header: None,
            delivery_annotations: None,
            message_annotations: None,
            properties: Some(Properties {
                message_id: Some(MessageId::String(number.to_owned())),
                reply_to: Some(self.reply_to.clone()),
                ..Properties::default()
            }),
            application_properties: Some(ApplicationProperties(properties)),
            body: Body::from(asked.body),
            footer: None,
        };
        Sendable::builder().message(letter).build()
    }
}

impl Drop for RequestLink {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

fn refused(refusal: Option<Refusal>) -> Fault {
    Fault::Refused(refusal.unwrap_or_else(|| Refusal::new("", "the broker rejected the request")))
}

/// A response, if its status is a good one. The two nodes write the same names in two ways.
fn checked(response: Letter) -> Result<Letter, Fault> {
    let either = |names: [&str; 2]| names.into_iter().find_map(|name| property(&response, name));
    let status = either(["statusCode", "status-code"]).and_then(number);
    if status.is_some_and(|status| (200..300).contains(&status)) {
        return Ok(response);
    }
    let text = |names: [&str; 2]| {
        names.into_iter().find_map(|name| text_property(&response, name)).unwrap_or_default()
    };
    let condition = text(["errorCondition", "error-condition"]);
    let condition = match (condition.as_str(), status) {
        ("", Some(status)) => status.to_string(),
        ("", None) => "no status".to_owned(),
        (condition, _) => condition.to_owned(),
    };
    let description = text(["statusDescription", "status-description"]);
    Err(refused(Some(Refusal::new(condition, description))))
}

/// Gives each response to the request that waits for it.
async fn hand_out(mut receiver: Receiver, waiting: Waiting) {
    loop {
        let received: Result<Delivery<Body<Value>>, _> = receiver.recv().await;
        let response = match received {
            Ok(delivery) => delivery.into_message(),
            Err(error) => {
                let error = Fault::from(error);
                tracing::debug!(%error, "responses have ended");
                waiting.lock().clear();
                return;
            }
        };
        let number = response.properties.as_ref().and_then(|it| it.correlation_id.as_ref());
        let Some(MessageId::String(number)) = number else {
            continue;
        };
        let asked = waiting.lock().remove(number);
        if let Some(asked) = asked {
            // What asked may have given up.
            let _ = asked.send(response);
        }
    }
}

/// A request that is waited for, until this is dropped.
struct Noted<'a> {
    waiting: &'a Waiting,
    number: &'a str,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(self.number);
    }
}
