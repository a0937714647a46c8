//! Where an endpoint leads.

use std::sync::Arc;

use super::endpoint::Endpoint;

/// Where an endpoint's name leads.
#[derive(Debug)]
pub(crate) enum Target {
    /// To a queue of this process.
    Queue(String),
    /// To another process.
    Remote(Arc<Endpoint>),
}
