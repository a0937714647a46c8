//! What the log says at a start.

use std::any::TypeId;

use super::plan::StartPlan;
use crate::handler::HandlerRegistration;
use crate::store::MessageStore;

/// A handler that is missing here was dropped by the linker; see `jasper::handlers_of!`.
pub(crate) fn start(plan: &StartPlan, store: Option<&dyn MessageStore>) {
    let info = store.map(MessageStore::info);
    let (store, pool) = info.map_or(("none", None), |info| (info.name, info.pool));
    let (service, send_only) = (&plan.settings.service, plan.settings.send_only);
    tracing::info!(service, store, handlers = plan.handlers.len(), send_only, "starting");
    for handler in &plan.handlers {
        tracing::info!(
            handler = format_args!("{}::{}", handler.module, handler.name),
            message.type = %(handler.message_type)(),
            queue = handler.queue,
            durable = handler.durable,
            "handler"
        );
        note_pool(handler, pool);
    }
}

/// What a handler does over a pool of the store's database is in no transaction of the handler's.
fn note_pool(handler: &HandlerRegistration, pool_of_store: Option<TypeId>) {
    let states = (handler.requirements)().states;
    let pool = states.iter().find(|state| Some(state.type_id) == pool_of_store);
    if let Some(pool) = pool
        && handler.durable
        && !handler.takes_connection
    {
        tracing::warn!(
            handler = format_args!("{}::{}", handler.module, handler.name),
            at = %handler.location,
            "a durable handler takes `State<{}>` and no connection: what it writes over the pool \
             is not in its transaction; take the store's connection as `&mut`",
            pool.type_name
        );
    }
}
