//! The running application: bus, queues, workers, recovery, and an orderly stop.
//!
//! [`guide::operating`](crate::guide::operating) says how it behaves, and
//! [`guide::defaults`](crate::guide::defaults) has every option and its default.

mod application;
mod backoff;
mod broker_backlog;
mod claim;
mod clock;
pub(crate) mod core;
#[cfg(test)]
mod defaults;
mod duration;
mod endpoint_state;
mod finish;
mod handle;
mod inbound;
mod lifecycle;
mod memory;
pub(crate) mod observation;
mod outbound;
mod own;
mod panic_safe;
mod routes;
mod send;
mod shutdown;
mod start;
mod storage;

pub use self::application::Jasper;
pub use self::broker_backlog::BrokerBacklog;
pub use self::endpoint_state::EndpointState;
pub use self::observation::MessageEvent;
pub use self::send::bus::Bus;
pub use self::send::enlisted::Enlisted;
pub use self::send::invokes::{HandlerOf, Invocable, Invokes};
pub use self::send::sending::{Sending, Sent};
pub use self::send::sending_all::SendingAll;
pub use self::start::builder::Builder;
pub use self::start::config::{Config, ConfigError};
pub use self::start::handler_options::HandlerOptions;
pub use self::start::provisioning::StorageProvisioning;
pub use self::start::queue_options::QueueOptions;

#[cfg(feature = "testing")]
pub(crate) use self::start::plan::check_declarations;
