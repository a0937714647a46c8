//! Writing dead letters: whole where the store takes them, and else reduced to what it takes.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::runtime::core::{Backoff, Core};
use crate::store::{
    DeadLetter, DeadLetterReason, MessageStore, OutgoingSettlement, Ownership, Settled, Settlement,
    StoreError,
};

/// What is left out of a letter that the store refuses, the least first: its text, its body.
const REDUCTIONS: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];

impl Core {
    /// Keeps a dead letter that never stood in the store; without a store it is only logged.
    pub(crate) async fn keep_letter(&self, letter: DeadLetter) {
        let Some(store) = self.store.as_deref() else {
            return;
        };
        let mut backoff = Backoff::new();
        while let Err(error) = self.store_letter(store, &letter).await {
            if backoff.wait(self, "bury", &error).await.is_none() {
                return;
            }
        }
    }

    /// Stores a letter, if need be without what the store refuses.
    pub(crate) async fn store_letter(
        &self,
        store: &dyn MessageStore,
        letter: &DeadLetter,
    ) -> Result<(), StoreError> {
        let write = async |letter| self.call("bury", store.dead_letters().store(letter)).await;
        let refusal = match write(letter.clone()).await {
            Err(error) if is_refusal(&error) => error,
            other => return other,
        };
        for (text, body) in REDUCTIONS {
            let reduced = reduced(letter, text, body, &refusal);
            match write(reduced).await {
                Err(error) if is_refusal(&error) => {}
                other => {
                    let id = &letter.id.id;
                    tracing::error!(message.id = %id, %refusal, text, body, "a letter is reduced");
                    return other;
                }
            }
        }
        Err(refusal)
    }

    /// Makes a row of the inbox a dead letter.
    ///
    /// # Errors
    /// The store failed, or takes it in no form; the row stays as it is.
    pub(crate) async fn make_letter(
        &self,
        ownership: &Ownership,
        reason: DeadLetterReason,
        error_type: &str,
        error_message: &str,
    ) -> Result<(), StoreError> {
        let Some(store) = self.store.as_deref() else {
            return Ok(());
        };
        self.settled_as_letter(error_type, error_message, |error_type, error_message| {
            let ownership = ownership.clone();
            let letter = Settlement::Bury { ownership, reason, error_type, error_message };
            store.inbox().settle(vec![letter])
        })
        .await
    }

    /// Makes a row of the outbox that its receiver has refused a dead letter.
    pub(crate) async fn keep_refused(&self, ownership: &Ownership, error_message: &str) {
        let Some(store) = self.store.as_deref() else {
            return;
        };
        let write = || {
            self.settled_as_letter("", error_message, |_type, error_message| {
                let ownership = ownership.clone();
                let refused = OutgoingSettlement::Refused { ownership, error_message };
                store.outbox().settle(vec![refused])
            })
        };
        let mut backoff = Backoff::new();
        // Where the application ends first, its rows are given back.
        while let Err(error) = write().await {
            if backoff.wait(self, "bury", &error).await.is_none() {
                return;
            }
        }
    }

    async fn settled_as_letter<'store>(
        &self,
        error_type: &str,
        error_message: &str,
        settle: impl Fn(String, String) -> BoxFuture<'store, Result<Vec<Settled>, StoreError>>,
    ) -> Result<(), StoreError> {
        let whole = settle(error_type.to_owned(), error_message.to_owned());
        let settled = match self.wait("settle", whole).await {
            Err(refusal) if is_refusal(&refusal) => {
                let note = without_text(error_message, &refusal);
                tracing::error!(%refusal, "the error of a dead letter is left out");
                self.wait("settle", settle(String::new(), note)).await?
            }
            other => other?,
        };
        self.note_fenced("settle", &settled);
        Ok(())
    }
}

/// Whether the store will say the same of the same letter the next time.
const fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::Database(_))
}

fn reduced(letter: &DeadLetter, text: bool, body: bool, refusal: &StoreError) -> DeadLetter {
    let mut reduced = letter.clone();
    if text {
        reduced.error_type = String::new();
        reduced.error_message = without_text(&letter.error_message, refusal);
    }
    if body {
        reduced.body = Bytes::new();
        let note = format!(
            "(its body of {} bytes is left out, as the store does not take it: {}) ",
            letter.body.len(),
            in_ascii(refusal)
        );
        reduced.error_message.insert_str(0, &note);
    }
    reduced
}

fn without_text(text: &str, refusal: &StoreError) -> String {
    let refusal = in_ascii(refusal);
    format!(
        "(its error of {} bytes is left out, as the store does not take it: {refusal})",
        text.len()
    )
}

/// In characters that every database has.
fn in_ascii(refusal: &StoreError) -> String {
    let is_plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let plain = |c: char| if is_plain(&c) { c } else { '?' };
    refusal.to_string().chars().take(500).map(plain).collect()
}
