//! What a start does with the schema of the store before it joins.

use serde::Deserialize;

use super::value::UnreadableValue;
use crate::store::{MessageStore, StoreError};

/// What a start does with the schema of the message store, before the application joins as a node.
///
/// Each is safe where several processes start at once: they do it one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StorageProvisioning {
    /// Makes the tables, or upgrades them with what is in them. A role without the right to that
    /// can start where there is nothing to do.
    #[default]
    Migrate,
    /// Changes nothing, and refuses to start where the tables are not there or lack a migration:
    /// for teams that apply migrations by hand, see
    /// [`StoreAdmin::migrations`](crate::store::StoreAdmin::migrations).
    Check,
    /// Drops the tables and makes them anew: everything in them is gone, for every process on the
    /// same tables. For tests; see
    /// [`Jasper::rebuild_message_schema`](crate::Jasper::rebuild_message_schema).
    #[serde(skip_deserializing)]
    Rebuild,
    /// As [`Migrate`](Self::Migrate), and deletes all messages and dead letters. For tests.
    #[serde(skip_deserializing)]
    Clear,
}

impl StorageProvisioning {
    /// Does it.
    pub(crate) async fn apply(self, store: &dyn MessageStore) -> Result<(), StoreError> {
        let admin = store.admin();
        match self {
            Self::Migrate => admin.prepare().await,
            Self::Check => admin.check().await,
            Self::Rebuild => admin.rebuild().await,
            Self::Clear => {
                admin.prepare().await?;
                admin.clear().await
            }
        }
    }

    /// What a deployment may say: nothing that deletes what is stored.
    pub(crate) fn of_deployment(text: &str) -> Result<Self, UnreadableValue> {
        match text {
            "migrate" => Ok(Self::Migrate),
            "check" => Ok(Self::Check),
            _ => Err(UnreadableValue { wanted: "`migrate` or `check`" }),
        }
    }
}
