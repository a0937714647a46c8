//! What the tests of conflicts share: runs that are counted, and errors that are wrapped.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::{DeadLetter, DeadLetterQuery, MessageStore};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

/// How many runs of a message may meet another transaction and cost no attempt.
pub const UNCOUNTED: u64 = 5;

/// How often each message ran.
#[derive(Default)]
pub struct Runs(Mutex<BTreeMap<String, u64>>);

impl Runs {
    /// Counts a run, and says how many there were.
    pub fn count(&self, of: &str) -> u64 {
        let mut all = self.0.lock().unwrap();
        let runs = all.entry(of.to_owned()).or_default();
        *runs += 1;
        *runs
    }

    pub fn of(&self, of: &str) -> u64 {
        self.0.lock().unwrap().get(of).copied().unwrap_or_default()
    }
}

/// How an application shows the error of its database.
#[derive(Debug, thiserror::Error)]
pub enum AppError<E: Error + 'static> {
    #[error(transparent)]
    Transparent(E),
    #[error("it did not work")]
    Within(#[source] Outer<E>),
    #[error("it was shared")]
    Shared(#[source] Arc<E>),
}

/// An error of another part of the application.
#[derive(Debug, thiserror::Error)]
#[error("the database refused")]
pub struct Outer<E: Error + 'static>(#[source] E);

#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Wrap {
    Transparent,
    Within,
    Shared,
}

impl Wrap {
    pub fn around<E: Error + 'static>(self, error: E) -> AppError<E> {
        match self {
            Self::Transparent => AppError::Transparent(error),
            Self::Within => AppError::Within(Outer(error)),
            Self::Shared => AppError::Shared(Arc::new(error)),
        }
    }
}

pub struct Stage<S> {
    pub app: Jasper,
    pub store: S,
    pub runs: Arc<Runs>,
}

impl<S: MessageStore + Clone> Stage<S> {
    pub async fn start(store: S, setup: impl FnOnce(Builder) -> Builder) -> Self {
        let runs = Arc::new(Runs::default());
        let builder = Jasper::builder().store(store.clone()).state(Arc::clone(&runs));
        Self { app: setup(builder).start().await.unwrap(), store, runs }
    }

    /// The dead letters once all is done.
    pub async fn letters(&self) -> Vec<DeadLetter> {
        assert!(timeout(LIMIT, self.app.until_idle()).await.unwrap().is_ok());
        self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
    }
}
