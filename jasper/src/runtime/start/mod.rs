//! Putting an application together: what it is told, what is checked, and what is started.

pub(crate) mod builder;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod endpoint_config;
#[cfg(feature = "testing")]
pub(crate) mod fakes;
mod prepare;
pub(crate) mod queue_options;
pub(crate) mod settings;
