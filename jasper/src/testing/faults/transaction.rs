//! A transaction whose end may fail.

use std::any::Any;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::plan::Plan;
use crate::store::{Committed, Completion, StoreError, StoreOperation, StoreTransaction};

/// Where its end fails before it is done, the transaction is dropped, which rolls it back.
pub(super) struct FaultyTransaction {
    pub(super) transaction: Box<dyn StoreTransaction>,
    pub(super) plan: Arc<Plan>,
}

impl StoreTransaction for FaultyTransaction {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        self.transaction.connection()
    }

    fn commit(
        self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        let Self { transaction, plan } = *self;
        Box::pin(async move {
            let commit = async move { transaction.commit(completion).await };
            plan.meet(StoreOperation::Commit, commit).await
        })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        let Self { transaction, plan } = *self;
        Box::pin(async move {
            let rollback = async move { transaction.rollback().await };
            plan.meet(StoreOperation::Rollback, rollback).await
        })
    }
}
