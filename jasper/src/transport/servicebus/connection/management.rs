//! What is asked of an entity beside its messages, at its node `$management`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fe2o3_amqp_types::messaging::Body;
use fe2o3_amqp_types::primitives::{Array, SimpleValue, Timestamp, Value};
use uuid::Uuid;

use super::super::failure::{Fault, Refusal};
use super::super::message::{Letter, entry, properties_map};
use super::dial::Connected;
use super::request_link::{Asked, RequestLink};
use crate::envelope::time;

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many sessions are listed at a time.
const PAGE: usize = 100;
/// The end of the times of .NET, in milliseconds: for it the service lists all sessions, and not
/// those alone whose state has changed since.
const ANY_STATE_MS: i64 = 253_402_300_800_000;

/// The node of one entity.
#[derive(Debug)]
pub(in super::super) struct Management {
    connected: Arc<Connected>,
    node: RequestLink,
}

impl Management {
    /// Attaches the links to the node of this entity, which is open.
    ///
    /// # Errors
    /// The broker refuses it, or the connection has ended.
    pub(in super::super) async fn attach(
        connected: &Arc<Connected>,
        entity: &str,
    ) -> Result<Self, Fault> {
        let session = connected.session().await?;
        let node = format!("{entity}/$management");
        let node = connected.unless_ended(RequestLink::attach(session, &node)).await?;
        Ok(Self { connected: Arc::clone(connected), node })
    }

    /// Renews the locks of these messages, and gives until when each holds.
    ///
    /// # Errors
    /// One of them was lost: which one is not said. Or there is no answer.
    pub(in super::super) async fn renew_locks(
        &self,
        tokens: &[Uuid],
    ) -> Result<Vec<SystemTime>, Fault> {
        let tokens = tokens.iter().map(|token| Value::Uuid((*token.as_bytes()).into())).collect();
        let body = properties_map([("lock-tokens", Value::Array(Array(tokens)))]);
        let response = self.ask("com.microsoft:renew-lock", body).await?;
        let until = match body_entry(&response, "expirations") {
            Some(Value::Array(ends)) => ends.0.iter().filter_map(stamp).collect(),
            Some(Value::List(ends)) => ends.iter().filter_map(stamp).collect(),
            _ => Vec::new(),
        };
        Ok(until)
    }

    /// Whether it can still be asked.
    pub(in super::super) fn is_usable(&self) -> bool {
        !self.connected.is_ended() && self.node.is_usable()
    }

    /// Settles a message by its lock alone, whatever link it has come by.
    ///
    /// # Errors
    /// The lock is lost, or there is no answer.
    pub(in super::super) async fn settle(
        &self,
        token: Uuid,
        status: &str,
        death: Option<(&str, &str)>,
    ) -> Result<(), Fault> {
        let token = Value::Uuid((*token.as_bytes()).into());
        let text = |text: &str| Value::String(text.to_owned());
        let mut body = vec![
            ("disposition-status", text(status)),
            ("lock-tokens", Value::Array(Array(vec![token]))),
        ];
        if let Some((reason, description)) = death {
            body.push(("deadletter-reason", text(reason)));
            body.push(("deadletter-description", text(description)));
        }
        self.ask("com.microsoft:update-disposition", properties_map(body)).await.map(drop)
    }

    /// Renews the lock of a session, and gives until when it holds.
    ///
    /// # Errors
    /// It was lost, or there is no answer.
    pub(in super::super) async fn renew_session(&self, session: &str) -> Result<SystemTime, Fault> {
        let body = properties_map([("session-id", Value::String(session.to_owned()))]);
        let response = self.ask("com.microsoft:renew-session-lock", body).await?;
        let until = body_entry(&response, "expiration").and_then(stamp);
        until.ok_or_else(|| Fault::Refused(Refusal::new("", "the broker names no time")))
    }

    /// How many sessions with messages or a state there are behind these, up to a page of them.
    ///
    /// # Errors
    /// The entity has no sessions, or there is no answer.
    pub(in super::super) async fn sessions(&self, skipped: usize) -> Result<usize, Fault> {
        let number = |number: usize| Value::Int(i32::try_from(number).unwrap_or(i32::MAX));
        let body = properties_map([
            ("last-updated-time", Value::Timestamp(Timestamp::from_milliseconds(ANY_STATE_MS))),
            ("skip", number(skipped)),
            ("top", number(PAGE)),
        ]);
        let response = self.ask("com.microsoft:get-message-sessions", body).await?;
        Ok(match body_entry(&response, "sessions-ids") {
            Some(Value::Array(names)) => names.0.len(),
            Some(Value::List(names)) => names.len(),
            _ => 0,
        })
    }

    async fn ask(&self, operation: &str, body: Value) -> Result<Letter, Fault> {
        let properties = vec![("operation", SimpleValue::String(operation.to_owned()))];
        let asked = self.node.ask(Asked { properties, body }, PATIENCE);
        self.connected.unless_ended(asked).await
    }
}

fn body_entry<'a>(response: &'a Letter, name: &str) -> Option<&'a Value> {
    match &response.body {
        Body::Value(value) => entry(&value.0, name),
        _ => None,
    }
}

fn stamp(value: &Value) -> Option<SystemTime> {
    let millis = |at: &Timestamp| at.milliseconds().saturating_mul(1_000);
    match value {
        Value::Timestamp(at) => Some(time::from_micros(millis(at))),
        _ => None,
    }
}
