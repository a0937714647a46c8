//! From the parts of an application to the running whole.

use std::sync::Arc;

use tokio::sync::Notify;

use super::parts::Parts;
use super::plan::StartPlan;
use super::settings::Settings;
use super::{announce, prepare, tasks};
use crate::error::{Error, Problem, StartupProblems};
use crate::runtime::core::{Core, Resources};
use crate::runtime::handle::queue::Queue;
use crate::runtime::handle::table::HandlerTable;
use crate::runtime::inbound::listeners::Listeners;
use crate::runtime::memory::budget::Budget;
use crate::runtime::routes::Routes;
use crate::runtime::send::bus::CoreRef;
use crate::runtime::shutdown;
use crate::runtime::storage::tries::in_some_tries;
use crate::store::{MessageStore, Owner, StoreError, Subscription};

/// Prepares the transports and the store, joins it as a node, starts to handle messages, and then
/// to listen.
pub(crate) async fn start(parts: Parts, plan: StartPlan) -> Result<(Arc<Core>, Listeners), Error> {
    prepare::prepare(&plan.endpoints).await?;
    let handlers = HandlerTable::of(&plan);
    let owner = match &parts.store {
        Some(store) => Some(join(&**store, &plan.settings, &handlers.takes()).await?),
        None => None,
    };
    announce::start(&plan, parts.store.as_deref());
    let core = build(parts, &plan, handlers, owner)?;
    if let Some(store) = core.store().get_arc() {
        in_some_tries(|| core.clock().read(&**store)).await?;
    }
    tasks::spawn(&core);
    let specs = plan
        .endpoints
        .listeners
        .iter()
        .map(|at| plan.endpoints.listener_spec(at))
        .collect::<Result<_, _>>()
        .map_err(|problem| StartupProblems::new(vec![problem]))?;
    match Listeners::start(&core, specs).await {
        Ok(listeners) => Ok((core, listeners)),
        Err(error) => {
            shutdown::stop(&core, &Listeners::default()).await?;
            Err(error.into())
        }
    }
}

async fn join(
    store: &dyn MessageStore,
    settings: &Settings,
    takes: &[Subscription],
) -> Result<Owner, StoreError> {
    in_some_tries(|| settings.provisioning.apply(store)).await?;
    let join = || store.nodes().join(&settings.service, settings.lease, takes);
    Ok(in_some_tries(join).await?.owner)
}

fn build(
    parts: Parts,
    plan: &StartPlan,
    handlers: HandlerTable,
    owner: Option<Owner>,
) -> Result<Arc<Core>, StartupProblems> {
    let no_codec = || StartupProblems::new(vec![Problem::NoCodec]);
    let codec = parts.codec.ok_or_else(no_codec)?;
    let settings = plan.settings.clone();
    let budget = Budget::new(settings.memory.budget);
    let routes = Routes::new(handlers, plan, plan.endpoints.targets(&budget)?);
    let room = Arc::new(Notify::new());
    let names = routes.handlers().queues().iter();
    let queues = names.map(|name| Arc::new(queue_named(name, plan, &routes, &budget, &room)));
    let queues = queues.collect();
    Ok(Arc::new_cyclic(|core| {
        let mut states = parts.states;
        states.insert(CoreRef::new(core.clone()));
        let resources = Resources { codec, states };
        Core::new(settings, resources, routes.with_queues(queues), parts.store, owner, room)
    }))
}

fn queue_named(
    name: &'static str,
    plan: &StartPlan,
    routes: &Routes,
    budget: &Arc<Budget>,
    room: &Arc<Notify>,
) -> Queue {
    let (options, defaults) = (plan.handling.queue(name), &plan.settings);
    let entries = routes.handlers().all().filter(|entry| entry.registration.queue == name);
    // Runs that share a transaction have to be under way together.
    let shared = entries.clone().map(|entry| entry.share as usize).filter(|share| *share > 1);
    let said = entries.clone().filter_map(|entry| entry.registration.concurrency);
    let said = options.concurrency.or_else(|| said.chain(shared).max());
    let here = entries.filter(|entry| entry.runs_here);
    let count_attempt = here.clone().all(|entry| entry.policy.attempts() > 1);
    let mut queue = Queue::new(
        here.map(|entry| entry.subscription()).collect(),
        said.unwrap_or(defaults.concurrency),
        options.capacity.unwrap_or(defaults.memory.queue_capacity),
        budget,
        Arc::clone(room),
    );
    queue.count_attempt = count_attempt;
    queue
}
