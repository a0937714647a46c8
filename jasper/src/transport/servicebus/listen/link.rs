//! A receiving link: messages come by it, and are settled once the broker has said so.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp_types::definitions::ReceiverSettleMode;
use fe2o3_amqp_types::messaging::{DeliveryState, Source};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::connection::{Connected, Outcomes};
use super::super::endpoint::ServiceBusEndpoint;
use super::super::failure::{Fault, Refusal, STOPPED};
use super::locks::Locks;
use super::pump::{Arrived, Command, Pump};
use super::settlement::Settlement;

/// How long the broker may take to say what became of a settlement.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let (receiver, _session) = attach(connected, &path, &link_name(&path)).await?;
    if let Err(error) = connected.unless_ended(async { Ok(receiver.close().await) }).await? {
        tracing::debug!(%error, "the link had ended");
    }
    Ok(())
}

async fn attach(
    connected: &Arc<Connected>,
    path: &str,
    name: &str,
) -> Result<(Receiver, SessionHandle<()>), Fault> {
    connected.authorize(path).await?;
    let mut session = connected.session().await?;
    let attaching = async {
        let attaching = Receiver::builder()
            .name(name)
            .source(Source::from(path))
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

impl Attached {
    /// Attaches a link, and asks for messages.
    ///
    /// # Errors
    /// The broker refuses it, or the connection has ended.
    pub(super) async fn attach(
        connected: &Arc<Connected>,
        path: &str,
        locks: &Arc<Locks>,
        prefetch: u32,
    ) -> Result<Self, Fault> {
        let name = link_name(path);
        let (receiver, session) = attach(connected, path, &name).await?;
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
            locks: Some(Arc::clone(locks)),
            drained: outcomes.drained(channel),
            _ended: ended.clone().drop_guard(),
            prefetch,
        };
        let pumping = tokio::spawn(pump.run());
        let connected = Arc::clone(connected);
        let link = Arc::new(Link { connected, outcomes, channel, commands, ended });
        Ok(Self { link, arrivals, pumping, _session: session })
    }

    /// Ends it, when all that came is settled.
    pub(super) async fn close(self) {
        let Self { link, pumping, _session, .. } = self;
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
        info: &DeliveryInfo,
        settlement: &Settlement,
    ) -> Result<(), Fault> {
        let ended = || Fault::Ended(STOPPED.into());
        let mut awaited = self.outcomes.awaited(self.channel, info.delivery_id());
        let command = Command::Settle(info.clone(), settlement.clone());
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
