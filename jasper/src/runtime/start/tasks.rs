//! The tasks of a running application.

use std::sync::Arc;

use crate::runtime::claim::{enlisted_polls, pager};
use crate::runtime::core::Core;
use crate::runtime::handle::consumer;
use crate::runtime::outbound::{look, relay};
use crate::runtime::own::{comparison, purge, recovery, renewal, watchdog};

/// Starts all of them.
pub(crate) fn spawn(core: &Arc<Core>) {
    // What does not run here is never put into memory.
    for queue in core.routes().queues().filter(|queue| !queue.takes.is_empty()) {
        core.lifecycle().spawn(consumer::consume(Arc::clone(core), Arc::clone(queue)));
    }
    for endpoint in core.routes().endpoints().remote() {
        let relay = relay::relay(Arc::clone(core), Arc::clone(endpoint));
        core.lifecycle().spawn(relay);
    }
    if let Some(store) = core.store().get_arc() {
        let both = || (Arc::clone(core), Arc::clone(store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(pager::page(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(renewal::renew(of_core, of_store));
        if store.info().durable {
            watchdog::start(core, Arc::clone(store));
        }
        let (of_core, of_store) = both();
        core.lifecycle().spawn(recovery::recover(
            of_core,
            of_store,
            recovery::MessageTable::Incoming,
        ));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(recovery::recover(
            of_core,
            of_store,
            recovery::MessageTable::Outgoing,
        ));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(enlisted_polls::listen(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(purge::purge(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(look::look(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(comparison::compare_outbox(of_core, of_store));
        core.lifecycle().spawn(enlisted_polls::look(Arc::clone(core)));
    }
}
