//! Nodes and their leases in a SQL database.

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::SqlStore;
use crate::store::{Gone, LiveNode, NodeLease, Nodes, Owner, Pulse, StoreError, Subscription};

/// A node that joins.
#[derive(Debug)]
pub(crate) struct JoiningNode {
    pub(crate) name: String,
    pub(crate) lease: Duration,
    pub(crate) takes: Vec<Subscription>,
}

/// What the port [`Nodes`] describes; what has a body is for stores that have no more to say.
pub(crate) trait SqlNodes: SqlStore {
    fn now(&self) -> impl Future<Output = Result<Option<SystemTime>, StoreError>> + Send {
        async { Ok(None) }
    }

    fn join(&self, node: JoiningNode)
    -> impl Future<Output = Result<NodeLease, StoreError>> + Send;

    fn renew(
        &self,
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    fn pulse(
        &self,
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<Pulse, StoreError>> + Send {
        async move {
            let is_renewed = SqlNodes::renew(self, owner, lease).await?;
            Ok(Pulse { is_renewed, gone: None, may_own: true })
        }
    }

    fn expired(&self, asks: Option<Owner>)
    -> impl Future<Output = Result<Gone, StoreError>> + Send;

    fn alive(&self) -> impl Future<Output = Result<Vec<LiveNode>, StoreError>> + Send;

    /// The earlier numbers are the text that stands in the row.
    fn note_earlier(
        &self,
        owner: Owner,
        earlier: String,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn leave(&self, owner: Owner) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn forget(&self, owner: Owner) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn wait_for_notification(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::pending()
    }

    fn is_notified(&self) -> bool {
        false
    }
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S: SqlNodes> Nodes for S {
    fn now(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StoreError>> {
        Box::pin(SqlNodes::now(self))
    }

    fn join(
        &self,
        name: &str,
        lease: Duration,
        takes: &[Subscription],
    ) -> BoxFuture<'_, Result<NodeLease, StoreError>> {
        let node = JoiningNode { name: name.to_owned(), lease, takes: takes.to_vec() };
        Box::pin(SqlNodes::join(self, node))
    }

    fn renew(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(SqlNodes::renew(self, owner, lease))
    }

    fn pulse(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<Pulse, StoreError>> {
        Box::pin(SqlNodes::pulse(self, owner, lease))
    }

    fn expired(&self, asks: Option<Owner>) -> BoxFuture<'_, Result<Gone, StoreError>> {
        Box::pin(SqlNodes::expired(self, asks))
    }

    fn alive(&self) -> BoxFuture<'_, Result<Vec<LiveNode>, StoreError>> {
        Box::pin(SqlNodes::alive(self))
    }

    fn note_earlier(
        &self,
        owner: Owner,
        earlier: &[Owner],
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlNodes::note_earlier(self, owner, Owner::to_text(earlier)))
    }

    fn leave(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlNodes::leave(self, owner))
    }

    fn forget(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlNodes::forget(self, owner))
    }

    fn wait_for_notification(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlNodes::wait_for_notification(self))
    }

    fn is_notified(&self) -> bool {
        SqlNodes::is_notified(self)
    }
}
