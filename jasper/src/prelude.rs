//! What an application imports: `use jasper::prelude::*;`.

pub use tokio_util::sync::CancellationToken;

pub use crate::envelope::Envelope;
pub use crate::handler::{
    Delayed, DeliveryOptions, HandlerError, MessageExt, Reply, State, Terminal, To, With,
};
pub use crate::runtime::{Bus, HandlerOptions, Jasper, QueueOptions, StorageProvisioning};
#[cfg(feature = "mysql")]
pub use crate::store::mysql::MysqlStore;
#[cfg(feature = "postgres")]
pub use crate::store::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
pub use crate::store::sqlite::SqliteStore;
#[cfg(feature = "sqlserver")]
pub use crate::store::sqlserver::SqlServerStore;
#[cfg(feature = "tcp")]
pub use crate::transport::tcp::Tcp;
#[cfg(feature = "macros")]
pub use jasper_macros::{Command, Event, durable, handler};
