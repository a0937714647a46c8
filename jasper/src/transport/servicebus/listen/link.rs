//! A receiving link: messages come by it, and are settled once the broker has said so.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp_types::definitions::{Fields, ReceiverSettleMode};
use fe2o3_amqp_types::messaging::{DeliveryState, Source};
use fe2o3_amqp_types::primitives::{Symbol, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::super::connection::{Connected, Outcomes};
use super::super::endpoint::ServiceBusEndpoint;
use super::super::failure::{Fault, Refusal, STOPPED};
use super::super::listen_options::ListenOptions;
use super::locks::Locks;
use super::pump::{Arrived, Command, Pump};
use super::settlement::Settlement;

/// How long the broker may take to say what became of a settlement.
const PATIENCE: Duration = Duration::from_secs(30);

const SESSION_FILTER: &str = "com.microsoft:session-filter";
const TIMEOUT: &str = "com.microsoft:timeout";
/// How long the broker lets a link wait for a session, in milliseconds.
const SESSION_WAIT_MS: u32 = 30_000;

/// A link from one entity, for what settles its messages.
#[derive(Debug)]
pub(super) struct Link {
    connected: Arc<Connected>,
    outcomes: Arc<Outcomes>,
    channel: u16,
    commands: mpsc::UnboundedSender<Command>,
    ended: CancellationToken,
}

/// A link that is attached, for what takes its messages.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) link: Arc<Link>,
    /// What comes; the last one is why nothing more does.
    pub(super) arrivals: mpsc::UnboundedReceiver<Result<Arrived, Fault>>,
    pumping: JoinHandle<()>,
    /// Renews the lock of the session, where the link is of one.
    _renewing: Option<AbortOnDropHandle<()>>,
    /// The link lives as long as its session.
    _session: SessionHandle<()>,
}

/// Whether a listener could be attached here.
///
/// # Errors
/// The broker refuses it, or the connection has ended.
pub(in super::super) async fn check(
    connected: &Arc<Connected>,
    endpoint: &ServiceBusEndpoint,
) -> Result<(), Fault> {
    let path = endpoint.path();
    // A session that has no messages is free.
    let named = || Value::String(link_name("check"));
    let wanted = endpoint.listening.sessions.map(|_| named());
    let (receiver, _session) = attach(connected, &path, &link_name(&path), wanted).await?;
    if let Err(error) = connected.unless_ended(async { Ok(receiver.close().await) }).await? {
        tracing::debug!(%error, "the link had ended");
    }
    Ok(())
}

/// `wanted` is the session, or null for the next one that has messages.
async fn attach(
    connected: &Arc<Connected>,
    path: &str,
    name: &str,
    wanted: Option<Value>,
) -> Result<(Receiver, SessionHandle<()>), Fault> {
    connected.authorize(path).await?;
    let mut session = connected.session().await?;
    let (mut source, mut properties) = (Source::from(path), Fields::new());
    if let Some(wanted) = wanted {
        source.filter.get_or_insert_default().insert(Symbol::from(SESSION_FILTER), wanted);
        properties.insert(Symbol::from(TIMEOUT), Value::Uint(SESSION_WAIT_MS));
    }
    let attaching = async {
        let attaching = Receiver::builder()
            .name(name)
            .source(source)
            .properties(properties)
            // The broker answers each settlement with what became of it.
            .receiver_settle_mode(ReceiverSettleMode::Second)
            .credit_mode(CreditMode::Manual)
            .auto_accept(false)
            .attach(&mut session);
        Ok(attaching.await?)
    };
    let receiver = connected.unless_ended(attaching).await?;
    Ok((receiver, session))
}

fn link_name(path: &str) -> String {
    format!("{path}-{}", Uuid::now_v7().simple())
}

/// The session that the broker has given to this link.
fn session_of(receiver: &Receiver) -> Option<String> {
    let filter = receiver.source().as_ref()?.filter.as_ref()?;
    let value = match filter.get(&Symbol::from(SESSION_FILTER))? {
        Value::Described(described) => &described.value,
        value => value,
    };
    match value {
        Value::String(name) => Some(name.clone()),
        _ => None,
    }
}

impl Attached {
    /// Attaches a link, and asks for messages.
    ///
    /// # Errors
    /// The broker refuses it, or the connection has ended.
    pub(super) async fn attach(
        connected: &Arc<Connected>,
        path: &str,
        locks: &Arc<Locks>,
        listening: &ListenOptions,
    ) -> Result<Self, Fault> {
        let name = link_name(path);
        let wanted = listening.sessions.map(|_| Value::Null);
        let (receiver, session) = attach(connected, path, &name, wanted).await?;
        let held = listening.sessions.and_then(|_| session_of(&receiver));
        let outcomes = Arc::clone(connected.outcomes());
        let channel = outcomes.take_channel(&name);
        let channel = channel.ok_or_else(|| Fault::Ended(STOPPED.into()))?;
        let (commands, to_obey) = mpsc::unbounded_channel();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let ended = CancellationToken::new();
        let pump = Pump {
            receiver,
            commands: to_obey,
            arrived,
            locks: held.is_none().then(|| Arc::clone(locks)),
            drained: outcomes.drained(channel),
            _ended: ended.clone().drop_guard(),
            prefetch: listening.prefetch,
        };
        let renewing = held.map(|held| {
            let locks = Arc::clone(locks);
            let ended = ended.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                locks.keep_session(&held, &ended).await;
            }))
        });
        let pumping = tokio::spawn(pump.run());
        let connected = Arc::clone(connected);
        let link = Arc::new(Link { connected, outcomes, channel, commands, ended });
        Ok(Self { link, arrivals, pumping, _renewing: renewing, _session: session })
    }

    /// Ends it, when all that came is settled.
    pub(super) async fn close(self) {
        let Self { link, pumping, _renewing, _session, .. } = self;
        let connected = Arc::clone(&link.connected);
        // Without a handle of it, the pump closes the link.
        drop(link);
        tokio::select! {
            _closed = timeout(PATIENCE, pumping) => {}
            () = connected.ended() => {}
        }
    }
}

impl Link {
    /// Settles a message, and returns when the broker has said that it is so.
    ///
    /// # Errors
    /// It is not so: its lock is lost, say. Or nothing is known of it.
    pub(super) async fn settle(
        &self,
        info: DeliveryInfo,
        settlement: Settlement,
    ) -> Result<(), Fault> {
        let ended = || Fault::Ended(STOPPED.into());
        let mut awaited = self.outcomes.awaited(self.channel, info.delivery_id());
        let command = Command::Settle(info, settlement);
        self.commands.send(command).map_err(|_ended| ended())?;
        let outcome = tokio::select! {
            biased;
            outcome = timeout(PATIENCE, awaited.outcome()) => {
                outcome.map_err(|_late| Fault::Late(PATIENCE))?
            }
            () = self.connected.ended() => return Err(ended()),
            () = self.ended.cancelled() => return Err(ended()),
        };
        match outcome {
            Some(DeliveryState::Rejected(rejected)) => match rejected.error {
                // The broker echoes a message that it has moved to the dead letters.
                None => Ok(()),
                Some(error) => Err(Fault::Refused(error.into())),
            },
            Some(_applied) => Ok(()),
            None => Err(Fault::Refused(Refusal::new("", "the broker settled without an outcome"))),
        }
    }

    /// Counts a message that is not settled here.
    pub(super) fn forget(&self) {
        // Where the pump has ended there is nothing to count.
        let _ = self.commands.send(Command::Forget);
    }

    /// Asks for nothing more.
    pub(super) fn drain(&self) {
        let _ = self.commands.send(Command::Drain);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.outcomes.forget(self.channel);
    }
}
