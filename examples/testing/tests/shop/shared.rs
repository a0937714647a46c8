//! All tests of this file share one store, and run one after the other. For what is slow to set up,
//! and for a database in which there can be only one.

use std::fs::File;
use std::sync::Arc;

use jasper::prelude::*;
use jasper::store::Counts;
use small_shop::{OrderPlaced, PlaceOrder, shop};

use crate::fixture::Mails;

/// The running shop, with the lock that all tests take: it keeps others of this process waiting,
/// and under nextest those of other processes.
struct Shared {
    app: Jasper,
    mails: Arc<Mails>,
    _lock: File,
}

impl Shared {
    async fn start() -> anyhow::Result<Self> {
        let lock = File::create(concat!(env!("CARGO_TARGET_TMPDIR"), "/small_shop.lock"))?;
        lock.lock()?;
        let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/small_shop.db");
        let mails = Arc::<Mails>::default();
        let shop = shop(SqliteStore::open(file).await?, mails.clone());
        // The tables stay; what the test before has left in them is deleted.
        let shop = shop.storage_provisioning(StorageProvisioning::Clear);
        Ok(Self { app: shop.start().await?, mails, _lock: lock })
    }

    /// Places an order, after which there is something in the store.
    async fn order(&self, id: u32) -> anyhow::Result<()> {
        let store = self.app.store().expect("the shop has a store");
        assert_eq!(store.admin().counts().await?, Counts::default(), "each test begins anew");
        let order = PlaceOrder { id, email: "ada@example.org".to_owned() };
        let tracked = self.app.track().send(order).await?;
        assert_eq!(tracked.assert_handled::<OrderPlaced>(1)[0].id, id);
        assert_eq!(store.admin().counts().await?.scheduled, 1, "the review");
        assert_eq!(self.mails.take().len(), 1);
        Ok(())
    }
}

#[tokio::test]
async fn the_first_test_finds_an_empty_store() -> anyhow::Result<()> {
    Shared::start().await?.order(1).await
}

#[tokio::test]
async fn the_second_test_finds_an_empty_store() -> anyhow::Result<()> {
    Shared::start().await?.order(2).await
}

#[tokio::test]
async fn within_a_test_messages_can_be_cleared() -> anyhow::Result<()> {
    let shared = Shared::start().await?;
    shared.order(3).await?;
    shared.app.clear_messages().await?;
    shared.order(4).await
}
