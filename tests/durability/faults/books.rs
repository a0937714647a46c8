//! What must have come of the work, and what has.

use std::collections::{BTreeMap, HashMap};

use jasper::prelude::SqliteStore;
use jasper::store::{DeadLetterQuery, MessageStore};
use sqlx::query_as;

use crate::work::{ATTEMPTS, Seen};

/// How much of what handlers do outside of transactions is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strictness {
    /// Only what they do in transactions, as any run may have been interrupted.
    Effects,
    /// Also how many attempts there were, of which each may have run several times.
    Attempts,
    /// Also how many runs there were.
    Runs,
}

pub struct Books {
    store: SqliteStore,
    seen: Seen,
    strictness: Strictness,
    /// Payments; whether they are known to be accepted.
    payments: BTreeMap<u64, bool>,
    /// Messages that fail, and that succeed with their last attempt.
    tried: Vec<u64>,
    complaints: Vec<String>,
}

/// What each payment leads to, once.
const EFFECTS: [&str; 4] = ["pay", "book", "archive", "remind"];

impl Books {
    pub fn new(store: SqliteStore, seen: Seen, strictness: Strictness) -> Self {
        let (payments, tried, complaints) = Default::default();
        Self { store, seen, strictness, payments, tried, complaints }
    }

    pub fn accepted(&mut self, payment: u64) {
        self.payments.insert(payment, true);
    }

    pub fn unknown(&mut self, payment: u64) {
        self.payments.insert(payment, false);
    }

    pub fn tried(&mut self, n: u64) {
        self.tried.push(n);
    }

    pub fn complain(&mut self, complaint: impl Into<String>) {
        self.complaints.push(complaint.into());
    }

    pub fn verdict(self) -> Result<(), String> {
        if self.complaints.is_empty() { Ok(()) } else { Err(self.complaints.join("; ")) }
    }

    pub async fn check(&mut self) {
        let counts = self.store.admin().counts().await.unwrap();
        if counts.incoming + counts.scheduled + counts.outgoing > 0 {
            self.complain(format!("left over: {counts:?}"));
        }
        let sql = "select note, count(*) from effects group by note";
        let effects: HashMap<String, u32> =
            query_as(sql).fetch_all(self.store.pool()).await.unwrap().into_iter().collect();
        let times = |note: &str| effects.get(note).copied().unwrap_or(0);
        for (n, is_accepted) in self.payments.clone() {
            // What is not accepted is done whole or not at all.
            let once = if is_accepted { 1 } else { times(&format!("pay {n}")).min(1) };
            for note in EFFECTS.map(|effect| format!("{effect} {n}")) {
                self.compare(&note, times(&note), once);
            }
            let note = format!("tally {n}");
            let runs = self.seen.runs(&note);
            match self.strictness {
                Strictness::Effects if runs.len() as u32 >= once => {}
                _ => self.compare(&note, runs.len() as u32, once),
            }
        }
        let letters = self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
        if self.strictness >= Strictness::Attempts {
            self.check_tried(times);
            let full = letters.iter().filter(|letter| letter.attempts == ATTEMPTS).count();
            self.compare("dead letters", letters.len() as u32, self.tried.len() as u32);
            self.compare("of them with all attempts", full as u32, self.tried.len() as u32);
        }
    }

    fn check_tried(&mut self, times: impl Fn(&str) -> u32) {
        for n in self.tried.clone() {
            let notes = [format!("fail {n}"), format!("struggle {n}")];
            self.compare(&notes[0], times(&notes[0]), 0);
            self.compare(&notes[1], times(&notes[1]), 1);
            for note in notes {
                let mut runs = self.seen.runs(&note);
                if self.strictness < Strictness::Runs {
                    runs.dedup();
                }
                if runs != Vec::from_iter(1..=ATTEMPTS) {
                    self.complain(format!("{note} ran with the attempts {runs:?}"));
                }
            }
        }
    }

    fn compare(&mut self, what: &str, found: u32, expected: u32) {
        if found != expected {
            self.complain(format!("{what}: {found}, not {expected}"));
        }
    }
}
