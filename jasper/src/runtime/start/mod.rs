//! Putting an application together: what is set, what is checked, and what is started.

mod announce;
mod assembly;
pub(crate) mod builder;
mod check;
pub(crate) mod config;
mod conventions;
pub(crate) mod endpoint_config;
#[cfg(feature = "testing")]
mod fakes;
pub(crate) mod handler_options;
pub(crate) mod handling;
mod parts;
pub(crate) mod plan;
mod prepare;
pub(crate) mod provisioning;
pub(crate) mod queue_options;
mod selection;
pub(crate) mod settings;
mod tasks;
mod value;
mod variables;
