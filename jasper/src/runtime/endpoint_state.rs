//! How the endpoints of an application are, one by one.

use crate::envelope::Address;
use crate::transport::Direction;

/// How an endpoint of another process is, or a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointState {
    /// The name of the endpoint; of a listener its address.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Whether messages are sent there or come from there.
    pub direction: Direction,
    /// What keeps messages from going that way at present, in words. It is tried again all the
    /// time.
    pub problem: Option<String>,
    /// Whether it is a listener that [pauses](crate::Jasper::pause_listeners).
    pub is_paused: bool,
}

impl EndpointState {
    /// Whether messages go that way at present, as far as is known.
    pub fn works(&self) -> bool {
        self.problem.is_none() && !self.is_paused
    }
}
