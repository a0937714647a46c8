//! The work under faults, for many seeds, until the store is calm and all is done.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use jasper::prelude::*;
use jasper::testing::{Faults, FaultyStore};
use tests::{Fixture, Seed};
use tokio::time::timeout;

use crate::books::{Books, Strictness};
use crate::until_done;
use crate::work::{Fail, Pay, Seen, Struggle, application};

const RUNS: usize = 12;
const AT_ONCE: usize = 4;

const POLL: Duration = Duration::from_millis(20);

/// The payments of one run, and the other messages of each kind.
const PAYMENTS: u64 = 60;
const OTHERS: u64 = 10;

/// For how long the store fails after all is sent.
const STORM: Duration = Duration::from_secs(3);

/// No run takes so long to become idle in a calm store, unless something is stuck.
const LIMIT: Duration = Duration::from_secs(30);

/// A kind of faults, and the nodes that have to live with them.
#[derive(Clone, Copy)]
pub struct Storm {
    faults: fn(Faults) -> Faults,
    lease: Duration,
    strictness: Strictness,
}

impl Storm {
    /// Faults that give no cause to repeat a run that is not to be committed.
    pub fn of(faults: fn(Faults) -> Faults) -> Self {
        Self { faults, lease: Duration::from_secs(10), strictness: Strictness::Runs }
    }

    /// Faults after which a run is repeated, as its transaction was lost.
    pub fn that_repeats_runs(self) -> Self {
        Self { strictness: Strictness::Attempts, ..self }
    }

    /// Leases that are lost in the storm: what runs then is interrupted, which costs an attempt.
    pub fn that_ends_leases(self, lease: Duration) -> Self {
        Self { lease, strictness: Strictness::Effects, ..self }
    }

    /// Runs with many seeds. Something must have gone wrong in this operation in all of them.
    pub async fn run(self, operation: &str) {
        let mut seed = Seed::from_env();
        println!("{seed}");
        let seeds: Vec<u64> = (0..RUNS).map(|_| seed.number()).collect();
        let runs = seeds.into_iter().map(async |seed| self.run_once(seed, operation).await);
        let runs: Vec<_> = stream::iter(runs).buffered(AT_ONCE).collect().await;
        let complaints: Vec<_> = runs.into_iter().filter_map(Result::err).collect();
        assert!(complaints.is_empty(), "{seed}:\n{}", complaints.join("\n"));
    }

    async fn run_once(self, seed: u64, operation: &str) -> Result<(), String> {
        let fixture = Fixture::create();
        let sqlite = fixture.store().await;
        let store = FaultyStore::new(sqlite.clone(), (self.faults)(Faults::seeded(seed)));
        // A start that fails says so to its caller; what is meant here comes after it.
        store.calm();
        let seen = Seen::default();
        let app = application()
            .store(store.clone())
            .state(seen.clone())
            .poll_interval(POLL)
            .lease(self.lease)
            .start()
            .await
            .unwrap();
        store.resume();
        let mut books = Books::new(sqlite, seen, self.strictness);
        send_all(app.bus(), &mut books).await;
        // It need not become idle in the storm, nor can it always be asked.
        drop(timeout(STORM, app.until_idle()).await);
        store.calm();
        let calm = Instant::now();
        if timeout(LIMIT, until_done(&app)).await.is_err() {
            books.complain("it is not done");
        }
        books.check().await;
        if store.count(operation) == 0 {
            books.complain(format!("nothing went wrong in `{operation}`"));
        }
        println!("run {seed}: {:?}, done {:?} after them", store.injected(), calm.elapsed());
        app.stop().await.unwrap();
        books.verdict().map_err(|complaints| format!("run {seed}: {complaints}"))
    }
}

/// What is sent with a key is sent again until it is accepted. Of what has none, an error says
/// nothing: it may have been accepted or not.
async fn send_all(bus: &Bus, books: &mut Books) {
    let with_key = (0..PAYMENTS).map(async |n| {
        let key = n.to_string();
        while bus.send(Pay { n }).deduplicate(&key).await.is_err() {}
        let (fail, struggle) = (n < OTHERS, n < OTHERS);
        while fail && bus.send(Fail { n }).deduplicate(&key).await.is_err() {}
        while struggle && bus.send(Struggle { n }).deduplicate(&key).await.is_err() {}
    });
    join_all(with_key).await;
    (0..PAYMENTS).for_each(|n| books.accepted(n));
    (0..OTHERS).for_each(|n| books.tried(n));
    let without = (PAYMENTS..PAYMENTS + OTHERS).map(async |n| bus.send(Pay { n }).await.is_ok());
    let sent = join_all(without).await;
    let after = PAYMENTS + OTHERS;
    let invoked = (after..after + OTHERS).map(async |n| bus.invoke(Pay { n }).await.is_ok());
    let invoked = join_all(invoked).await;
    for (n, is_ok) in (PAYMENTS..).zip(sent.into_iter().chain(invoked)) {
        if is_ok { books.accepted(n) } else { books.unknown(n) }
    }
}
