//! What all parts of a running application share.

use std::sync::Arc;

use tokio::sync::Notify;

use super::claim::wakeups::Wakeups;
use super::clock::Clock;
use super::handle::handled::HandledMessages;
use super::lifecycle::Lifecycle;
use super::observation::Observers;
use super::own::node::Node;
use super::own::owned_rows::OwnedRows;
use super::routes::Routes;
use super::start::settings::Settings;
use super::storage::client::StoreClient;
use crate::codec::Codec;
use crate::handler::States;
use crate::store::{MessageStore, Owner};

/// What all parts of a running application share.
#[derive(Debug)]
pub(crate) struct Core {
    settings: Settings,
    resources: Resources,
    routes: Routes,
    store: StoreClient,
    node: Node,
    clock: Clock,
    lifecycle: Lifecycle,
    wakeups: Wakeups,
    handled: HandledMessages,
}

/// What handlers are given, and what reads and writes their messages.
#[derive(Debug)]
pub(crate) struct Resources {
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) states: States,
}

impl Core {
    /// What an application shares that has joined its store as `owner`, where it has one.
    pub(crate) fn new(
        settings: Settings,
        resources: Resources,
        routes: Routes,
        store: Option<Arc<dyn MessageStore>>,
        owner: Option<Owner>,
        room: Arc<Notify>,
    ) -> Self {
        let (clock, lifecycle, outbox) = (Clock::default(), Lifecycle::default(), Arc::default());
        let held = routes.endpoints().remote().map(|endpoint| Arc::clone(&endpoint.rows)).collect();
        let rows = Arc::new(OwnedRows::new(held, settings.lease, Arc::clone(&outbox)));
        let ending = lifecycle.aborting().clone();
        Self {
            store: StoreClient::new(store, settings.timeouts.store, Arc::clone(&rows), ending),
            node: Node::new(owner, settings.lease, rows),
            wakeups: Wakeups::new(room, outbox, clock.clone()),
            handled: HandledMessages::default(),
            settings,
            resources,
            routes,
            clock,
            lifecycle,
        }
    }

    /// What the builder and the deployment have decided.
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What encodes and decodes messages.
    pub(crate) fn codec(&self) -> &dyn Codec {
        &*self.resources.codec
    }

    /// The same, for what outlives the application.
    #[cfg(feature = "testing")]
    pub(crate) fn codec_arc(&self) -> Arc<dyn Codec> {
        Arc::clone(&self.resources.codec)
    }

    /// The values that the application has registered.
    pub(crate) const fn states(&self) -> &States {
        &self.resources.states
    }

    /// Which handler takes what, on which queue, and where endpoints lead.
    pub(crate) const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The application's store, if it has one.
    pub(crate) const fn store(&self) -> &StoreClient {
        &self.store
    }

    /// This process as a node.
    pub(crate) const fn node(&self) -> &Node {
        &self.node
    }

    /// By which messages are due and expire.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How far the application is between its start and its end.
    pub(crate) const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Those that observe what happens to messages.
    pub(crate) const fn observers(&self) -> &Observers {
        self.lifecycle.observers()
    }

    /// What wakes the tasks that look into the store.
    pub(crate) const fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    /// Messages that are handled and not settled.
    pub(crate) const fn handled(&self) -> &HandledMessages {
        &self.handled
    }

    /// Whether this node may own rows in the store.
    pub(crate) fn may_have_rows(&self) -> bool {
        self.node.may_own() || self.lifecycle.activity().count() > 0
    }
}
