//! Without faults, a faulty store is the store that it is around.

use jasper::store::memory::MemoryStore;
use jasper::testing::conformance::StoreFixture;
use jasper::testing::{Faults, FaultyStore};

struct Calm;

impl StoreFixture for Calm {
    type Store = FaultyStore<MemoryStore>;
    type Guard = ();

    async fn open(&self) -> (Self::Store, ()) {
        (FaultyStore::new(MemoryStore::new(), Faults::seeded(7)), ())
    }
}

jasper::store_conformance!(Calm);
