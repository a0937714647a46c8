//! What several of the tests need.

mod certificate;
mod hand;
pub mod log;
pub mod memory;
pub mod programs;
pub mod proxy;
pub mod servers;
pub mod servicebus;

pub use certificate::{Certified, certified};
pub use hand::Hand;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jasper::prelude::SqliteStore;
use tempfile::TempDir;
use tokio::sync::watch;

/// Notes that handlers leave, in order.
#[derive(Debug, Clone)]
pub struct Journal {
    notes: Arc<Mutex<Vec<String>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { notes: Arc::default(), count: Arc::new(watch::Sender::new(0)) }
    }
}

impl Journal {
    /// Adds a note.
    pub fn note(&self, note: impl Into<String>) {
        let mut notes = self.notes.lock().expect("no test panics while it holds the notes");
        notes.push(note.into());
        let count = notes.len();
        // Who waits looks at the notes while it has the count locked.
        drop(notes);
        self.count.send_replace(count);
    }

    /// The notes, in order.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("no test panics while it holds the notes").clone()
    }

    /// The notes, in order, which it then has no more.
    ///
    /// # Panics
    /// Another thread has, while it had them locked.
    pub fn take(&self) -> Vec<String> {
        let mut notes = self.notes.lock().expect("no test panics while it holds the notes");
        std::mem::take(&mut *notes)
    }

    /// The notes, sorted, where their order is not said.
    pub fn sorted(&self) -> Vec<String> {
        let mut notes = self.notes();
        notes.sort();
        notes
    }

    /// Waits until this note is there.
    ///
    /// # Panics
    /// It is not after a minute.
    pub async fn wait_for(&self, note: &str) {
        self.wait_until(|notes| notes.iter().any(|n| n == note), note).await;
    }

    /// Waits until there are this many notes.
    ///
    /// # Panics
    /// There are not after a minute.
    pub async fn wait_for_number(&self, number: usize) {
        let what = format!("number {number}");
        self.wait_until(|notes| notes.len() >= number, &what).await;
    }

    async fn wait_until(&self, is_there: impl Fn(&[String]) -> bool, what: &str) {
        let mut count = self.count.subscribe();
        let there = count.wait_for(|_| is_there(&self.notes()));
        let limit = std::time::Duration::from_secs(60);
        let waited = tokio::time::timeout(limit, there).await;
        assert!(waited.is_ok(), "no note `{what}` among {:?}", self.notes());
    }
}

/// A database file of its own for a test, with a table for the effects of handlers, and a journal.
#[derive(Debug)]
pub struct Fixture {
    folder: TempDir,
    /// Where handlers leave notes.
    pub journal: Journal,
}

impl Fixture {
    /// A folder for the file, removed with this.
    ///
    /// # Panics
    /// There is no room for one.
    pub fn create() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { folder, journal: Journal::default() }
    }

    /// A store on the file, which has the table `effects (note text not null)`.
    ///
    /// # Panics
    /// It cannot be opened.
    pub async fn store(&self) -> SqliteStore {
        let store = SqliteStore::open(self.folder.path().join("test.db"))
            .await
            .expect("a new file can be opened");
        let schema = "create table if not exists effects (note text not null)";
        sqlx::query(schema).execute(store.pool()).await.expect("a table can be made");
        store
    }
}

/// The randomness of a test, repeatable by `JASPER_SEED`.
#[derive(Debug, Clone)]
pub struct Seed {
    seed: u64,
    random: fastrand::Rng,
}

impl Seed {
    /// The seed that `JASPER_SEED` names, or one of this moment.
    ///
    /// # Panics
    /// `JASPER_SEED` is not a number.
    pub fn from_env() -> Self {
        let now = || uuid::Uuid::now_v7().as_u64_pair().1;
        let seed = std::env::var("JASPER_SEED")
            .map_or_else(|_| now(), |text| text.parse().expect("JASPER_SEED: a number"));
        Self { seed, random: fastrand::Rng::with_seed(seed) }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.random.u64(..)
    }

    /// The next number from 0 to 1.
    pub fn fraction(&mut self) -> f64 {
        self.random.f64()
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JASPER_SEED={}", self.seed)
    }
}

/// The program of an example, built if it is not.
///
/// `JASPER_TEST_PROGRAMS=built` says that it is: Cargo would wait for whatever else it builds at
/// the moment before it finds that out.
///
/// # Panics
/// It does not build.
pub fn program(name: &str) -> PathBuf {
    if std::env::var_os("JASPER_TEST_PROGRAMS").is_none_or(|programs| programs != "built") {
        build(name);
    }
    // A test lies in target/<profile>/deps.
    let test = std::env::current_exe().expect("a test is a program");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    profile.with_file_name("debug").join(name)
}

fn build(name: &str) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    // As `tests/run` builds everything: with other features the dependencies would be built again.
    command.args(["build", "--quiet", "--workspace", "--all-features", "--bin", name]);
    // What Cargo says of this test would be new to build scripts that ask for it, and then all that
    // depends on them be built again, beside others that read it.
    for (variable, _) in std::env::vars_os() {
        let is_of_test = |name: &str| {
            let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_", "CARGO_CRATE_"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        if variable.to_str().is_some_and(is_of_test) {
            command.env_remove(variable);
        }
    }
    let built = command.status().expect("cargo runs");
    assert!(built.success(), "the example `{name}` does not build");
}
