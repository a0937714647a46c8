//! The ports of a store in a SQL database, written on plain async functions: what every such store
//! does alike around its statements is done here.
//!
//! The traits are for the stores of this crate, so the implementations of the ports for them are
//! neither shown in the documentation nor recommended by the compiler.

pub(crate) mod admin;
pub(crate) mod dead_letters;
pub(crate) mod messages;
pub(crate) mod nodes;

use crate::store::Connection;

/// A store in a SQL database.
pub(crate) trait SqlStore: Send + Sync + 'static {
    /// As errors name it.
    const NAME: &'static str;

    /// What a user may give it to write through.
    type Connection: Connection;
}

/// The ports of a [`MessageStore`](crate::store::MessageStore) that implements each of them itself.
macro_rules! delegate_ports {
    () => {
        fn inbox(&self) -> &dyn $crate::store::Inbox {
            self
        }

        fn outbox(&self) -> &dyn $crate::store::Outbox {
            self
        }

        fn dead_letters(&self) -> &dyn $crate::store::DeadLetters {
            self
        }

        fn nodes(&self) -> &dyn $crate::store::Nodes {
            self
        }

        fn admin(&self) -> &dyn $crate::store::StoreAdmin {
            self
        }
    };
}

pub(crate) use delegate_ports;
