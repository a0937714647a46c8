//! What opens the entities of a connection: a token for each, renewed before it expires.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fe2o3_amqp_types::primitives::{SimpleValue, Value};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::failure::Fault;
use super::super::settings::Reached;
use super::super::token::token;
use super::request_link::{Asked, RequestLink};
use crate::envelope::time;

/// How long the broker may take to look at a token.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a renewal that failed waits, and the shortest time between two.
const PAUSE: Duration = Duration::from_secs(2);

/// The tokens of one connection.
#[derive(Debug)]
pub(super) struct Tokens {
    reached: Reached,
    node: RequestLink,
    /// When each is to be renewed, by the entity that it opens.
    due: Mutex<BTreeMap<String, SystemTime>>,
    changed: Notify,
}

impl Tokens {
    pub(super) fn new(reached: Reached, node: RequestLink) -> Arc<Self> {
        Arc::new(Self { reached, node, due: Mutex::default(), changed: Notify::new() })
    }

    pub(super) fn is_usable(&self) -> bool {
        self.node.is_usable()
    }

    /// Opens this entity, unless it is open.
    ///
    /// # Errors
    /// There is no token, or the broker does not take it.
    pub(super) async fn open(&self, entity: &str) -> Result<(), Fault> {
        let is_open = self.due.lock().get(entity).is_some_and(|due| *due > time::now());
        if is_open { Ok(()) } else { self.put(entity).await }
    }

    async fn put(&self, entity: &str) -> Result<(), Fault> {
        let resource = self.reached.namespace.resource(entity);
        let (token, kind) = token(&self.reached, &resource).await?;
        let text = |text: &str| SimpleValue::String(text.to_owned());
        let properties = vec![
            ("operation", text("put-token")),
            ("type", text(kind.name())),
            ("name", text(&resource)),
        ];
        let asked = Asked { properties, body: Value::String(token.expose().to_owned()) };
        self.node.ask(asked, PATIENCE).await?;
        let due = renewal(time::now(), token.expires_at());
        self.due.lock().insert(entity.to_owned(), due);
        self.changed.notify_one();
        Ok(())
    }

    /// Renews each before it expires, for as long as the connection lives.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            let next = {
                let due = self.due.lock();
                due.iter().min_by_key(|(_, due)| **due).map(|(name, due)| (name.clone(), *due))
            };
            let Some((entity, due)) = next else {
                self.changed.notified().await;
                continue;
            };
            let wait = due.duration_since(time::now()).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => continue,
            }
            if let Err(error) = self.put(&entity).await {
                tracing::warn!(entity, %error, "a token is not renewed; it is tried again");
                let again = time::after(time::now(), PAUSE);
                self.due.lock().insert(entity, again);
            }
        }
    }
}

/// After three quarters of its time.
fn renewal(now: SystemTime, expires_at: SystemTime) -> SystemTime {
    let left = expires_at.duration_since(now).unwrap_or_default();
    time::after(now, (left * 3 / 4).max(PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires_and_not_all_the_time() {
        let now = time::now();
        let after = |seconds| time::after(now, Duration::from_secs(seconds));
        assert_eq!(renewal(now, after(3_600)), after(2_700));
        assert_eq!(renewal(now, now), after(2));
    }
}
