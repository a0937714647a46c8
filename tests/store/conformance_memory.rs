//! The memory store keeps every clause.

use jasper::store::memory::MemoryStore;
use jasper::testing::conformance::StoreFixture;

struct Memory;

impl StoreFixture for Memory {
    type Store = MemoryStore;
    type Guard = ();

    async fn open(&self) -> (MemoryStore, ()) {
        (MemoryStore::new(), ())
    }
}

jasper::store_conformance!(Memory);
