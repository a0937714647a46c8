//! A transaction in memory: nothing is written before its commit, so there is nothing to undo.

use std::any::Any;
use std::future::ready;

use futures_util::future::BoxFuture;

use super::store::MemoryStore;
use crate::store::{Committed, Completion, Settled, StoreError, StoreTransaction};

pub(super) struct MemoryTransaction {
    store: MemoryStore,
}

impl MemoryTransaction {
    pub(super) fn new(store: MemoryStore) -> Self {
        Self { store }
    }
}

impl StoreTransaction for MemoryTransaction {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        None
    }

    fn commit(
        self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        Box::pin(async move { Ok(commit(&self.store, completion)) })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }
}

fn commit(store: &MemoryStore, completion: Completion) -> Committed {
    let mut state = store.state();
    if let Some(handled) = &completion.handled
        && !state.handled(handled)
    {
        return Committed { settled: Settled::Fenced, incoming: Vec::new(), outgoing: Vec::new() };
    }
    let incoming = completion.incoming.into_iter().map(|row| state.insert_incoming(row)).collect();
    let outgoing = completion.outgoing.into_iter().map(|row| state.insert_outgoing(row)).collect();
    Committed { settled: Settled::Done, incoming, outgoing }
}
