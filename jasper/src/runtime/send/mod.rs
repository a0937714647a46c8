//! The way of a message from the call of the application to its queue or its endpoint.

pub(crate) mod admission;
pub(crate) mod bus;
pub(crate) mod dispatch;
pub(crate) mod enlisted;
pub(crate) mod envelope;
pub(crate) mod hand_over;
mod in_memory;
pub(crate) mod invoke;
pub(crate) mod invokes;
pub(crate) mod lazy_call;
pub(crate) mod origin;
pub(crate) mod placement;
pub(crate) mod prepare;
pub(crate) mod remote;
pub(crate) mod routed;
pub(crate) mod sending;
pub(crate) mod sending_all;
mod user_transaction;
