//! The shop as each test starts it: on tables of the test's own, with mails that it can look at.

use std::env;
use std::io::{Error, Result as IoResult};
use std::sync::{Arc, Mutex, PoisonError};

use jasper::prelude::*;
use small_shop::{Mail, shop};
use tempfile::TempDir;

/// The running shop.
pub(crate) struct Fixture {
    pub(crate) app: Jasper,
    pub(crate) mails: Arc<Mails>,
    /// Goes with the test, and the file of the store with it.
    _folder: Option<TempDir>,
}

impl Fixture {
    /// Starts it on tables that no other test has: in PostgreSQL where the environment has an
    /// address, and else in a file.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mails = Arc::<Mails>::default();
        let (shop, folder) = match env::var("JASPER_TEST_POSTGRES") {
            Ok(url) => {
                let store = PostgresStore::builder().schema(schema_of_this_test()).connections(4);
                (shop(store.connect(&url).await?, mails.clone()), None)
            }
            Err(_) => {
                let folder = tempfile::tempdir()?;
                let store = SqliteStore::open(folder.path().join("shop.db")).await?;
                (shop(store, mails.clone()), Some(folder))
            }
        };
        // What an earlier run has left is gone, in whatever version it was. And no test is to wait
        // before another attempt.
        let shop = shop.storage_provisioning(StorageProvisioning::Rebuild).without_delays();
        Ok(Self { app: shop.start().await?, mails, _folder: folder })
    }
}

/// Each test has a schema by its name, which is that of its thread. So the next run finds it again,
/// and nothing is left to clean up.
fn schema_of_this_test() -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a_test").replace("::", "_");
    format!("small_shop_{}", &name[..name.len().min(37)])
}

/// Mails that were sent, in order.
#[derive(Default)]
pub(crate) struct Mails {
    sent: Mutex<Vec<String>>,
    failures: Mutex<u32>,
}

impl Mails {
    /// Lets the next ones fail.
    pub(crate) fn fail(&self, times: u32) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = times;
    }

    /// What was sent since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Mail for Mails {
    fn send(&self, email: &str, text: &str) -> IoResult<()> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if *failures > 0 {
            *failures -= 1;
            return Err(Error::other("the mail server is away"));
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push(format!("{email}: {text}"));
        Ok(())
    }
}
