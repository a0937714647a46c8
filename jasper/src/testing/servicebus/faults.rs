//! Faults on demand.

use super::address::EntityName;
use super::administration_failure::AdministrationFailure;
use super::refusal::{LINK_STOLEN, Refusal};
use super::shared::{Command, Direction, Shared};

const SERVER_BUSY: &str = "com.microsoft:server-busy";

/// What a test can do to the clients of a broker. Each takes effect at once.
#[derive(Debug)]
pub struct BrokerFaults<'a> {
    pub(super) shared: &'a Shared,
}

impl BrokerFaults<'_> {
    /// Drops every connection without a word. Locks of messages stay until they run out, as in the
    /// service; sessions are given back.
    pub fn cut_connections(&self) {
        self.shared.state.lock().command_all(&Command::Cut);
    }

    /// New connections are dropped at once, until [`accept_connections`](Self::accept_connections).
    pub fn refuse_connections(&self) {
        self.shared.state.lock().refuses_connections = true;
    }

    /// Ends what [`refuse_connections`](Self::refuse_connections) began.
    pub fn accept_connections(&self) {
        self.shared.state.lock().refuses_connections = false;
    }

    /// Detaches the links to this entity; clients may attach again at once.
    pub fn drop_links(&self, entity: &str) {
        self.detach_links(entity, LINK_STOLEN, "The test broker has dropped the link.");
    }

    /// Detaches the links to this entity with an error, such as `amqp:link:detach-forced`.
    pub fn detach_links(&self, entity: &str, condition: &str, description: &str) {
        let refusal = Refusal::new(condition, description);
        let command = Command::Detach(EntityName::parse(entity), refusal);
        self.shared.state.lock().command_all(&command);
    }

    /// Ends every lock of messages and sessions of this entity, as if its time had passed.
    pub fn expire_locks(&self, entity: &str) {
        let name = EntityName::parse(entity);
        if let Ok(entity) = self.shared.state.lock().namespace.any(&name) {
            entity.expire_locks();
        }
        self.shared.wake_receivers();
    }

    /// The next messages that are sent to this entity are kept, and their connections are cut
    /// before the sender learns it. A batch is one.
    pub fn lose_outcomes_of_sends(&self, entity: &str, times: usize) {
        self.lose_outcomes(entity, Direction::Sent, times);
    }

    /// The next settlements of messages of this entity are applied, and their connections are cut
    /// before the receiver learns it.
    pub fn lose_outcomes_of_settlements(&self, entity: &str, times: usize) {
        self.lose_outcomes(entity, Direction::Settled, times);
    }

    fn lose_outcomes(&self, entity: &str, direction: Direction, times: usize) {
        let key = (EntityName::parse(entity), direction);
        *self.shared.state.lock().lost_outcomes.entry(key).or_default() += times;
    }

    /// Rejects the next deliveries to this entity as the service does when it has too much to do.
    pub fn throttle(&self, entity: &str, deliveries: usize) {
        let description = "The request was terminated because the entity is being throttled. \
                           Please wait 2 seconds and try again.";
        self.refuse(entity, deliveries, SERVER_BUSY, description);
    }

    /// Rejects the next deliveries to this entity with an error. A batch is one delivery.
    pub fn refuse(&self, entity: &str, deliveries: usize, condition: &str, description: &str) {
        let refusal = Refusal::new(condition, description);
        let mut state = self.shared.state.lock();
        let refusals = state.refusals.entry(EntityName::parse(entity)).or_default();
        refusals.extend(std::iter::repeat_n(refusal, deliveries));
    }

    /// The next requests over HTTP that only look (`GET`) fail so.
    pub fn fail_administration_reads(&self, requests: usize, failure: AdministrationFailure) {
        let failures = &mut self.shared.state.lock().administration_failures;
        failures.reads.extend(std::iter::repeat_n(failure, requests));
    }

    /// The next requests over HTTP that change something (`PUT` and `DELETE`) fail so.
    pub fn fail_administration_writes(&self, requests: usize, failure: AdministrationFailure) {
        let failures = &mut self.shared.state.lock().administration_failures;
        failures.writes.extend(std::iter::repeat_n(failure, requests));
    }

    /// How many requests over HTTP are still to fail.
    #[must_use]
    pub fn administration_failures_left(&self) -> usize {
        let failures = &self.shared.state.lock().administration_failures;
        failures.reads.len() + failures.writes.len()
    }
}
