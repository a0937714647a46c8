//! What the tests of conflicts share: runs that are counted, and errors that are wrapped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::prelude::*;
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
pub enum AppError {
    #[error(transparent)]
    Transparent(sqlx::Error),
    #[error("it did not work")]
    Within(#[source] Box<Self>),
    #[error("it was shared")]
    Shared(#[source] Arc<sqlx::Error>),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum Wrap {
    Transparent,
    Within,
    Shared,
}

impl Wrap {
    pub fn around(self, error: sqlx::Error) -> AppError {
        match self {
            Self::Transparent => AppError::Transparent(error),
            Self::Within => AppError::Within(Box::new(AppError::Transparent(error))),
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
    pub async fn start(store: S) -> Self {
        let runs = Arc::new(Runs::default());
        let builder = Jasper::builder().store(store.clone()).state(Arc::clone(&runs));
        Self { app: builder.start().await.unwrap(), store, runs }
    }

    /// The dead letters once all is done.
    pub async fn letters(&self) -> Vec<DeadLetter> {
        assert!(timeout(LIMIT, self.app.until_idle()).await.unwrap().is_ok());
        self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
    }
}
