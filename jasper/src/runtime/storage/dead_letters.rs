//! Writing dead letters: whole where the store takes them, and else reduced to what it takes.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::client::StoreClient;
use super::health::Retries;
use crate::store::{
    DeadLetter, DeadLetterId, DeadLetterReason, MessageStore, OutgoingSettlement, Ownership,
    Settled, Settlement, StoreError, StoreOperation,
};
use crate::telemetry;

/// What is left out of a letter that the store refuses, the least first: its text, its body.
const REDUCTIONS: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];

/// What became of a dead letter that never stood in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stored,
    /// There is no store: it is only logged.
    NoStore,
    /// The application ends, and the store has not taken it.
    Ending,
}

/// Stores a dead letter that never stood in the store.
pub(crate) async fn store_until_done(client: &StoreClient, letter: DeadLetter) -> Outcome {
    let Some(store) = client.get() else {
        return Outcome::NoStore;
    };
    let mut retries = Retries::new();
    while let Err(error) = store_letter(client, store, &letter).await {
        if retries.wait(client.health(), StoreOperation::StoreDeadLetter, &error).await.is_none() {
            return Outcome::Ending;
        }
    }
    Outcome::Stored
}

/// Stores a letter, if need be without what the store refuses.
pub(crate) async fn store_letter(
    client: &StoreClient,
    store: &dyn MessageStore,
    letter: &DeadLetter,
) -> Result<(), StoreError> {
    let write = async |letter| {
        let write = store.dead_letters().store(letter);
        client.call(StoreOperation::StoreDeadLetter, write).await
    };
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
pub(crate) async fn settle_as_letter(
    client: &StoreClient,
    ownership: &Ownership,
    reason: DeadLetterReason,
    error_type: &str,
    error_message: &str,
) -> Result<(), StoreError> {
    let Some(store) = client.get() else {
        return Ok(());
    };
    settled(client, StoreOperation::Settle, error_type, error_message, |error_type, message| {
        let (ownership, error_message) = (ownership.clone(), message);
        let letter = Settlement::DeadLetter { ownership, reason, error_type, error_message };
        store.inbox().settle(vec![letter])
    })
    .await
}

/// Makes a row of the outbox that its receiver has refused a dead letter.
pub(crate) async fn settle_refused(client: &StoreClient, ownership: &Ownership, why: &str) {
    let Some(store) = client.get() else {
        return;
    };
    let operation = StoreOperation::SettleOutgoing;
    let write = || {
        settled(client, operation, "", why, |_type, error_message| {
            let ownership = ownership.clone();
            let refused = OutgoingSettlement::Refused { ownership, error_message };
            store.outbox().settle(vec![refused])
        })
    };
    let mut retries = Retries::new();
    // Where the application ends first, its rows are given back.
    while let Err(error) = write().await {
        if retries.wait(client.health(), operation, &error).await.is_none() {
            return;
        }
    }
}

async fn settled<'store>(
    client: &StoreClient,
    operation: StoreOperation,
    error_type: &str,
    error_message: &str,
    settle: impl Fn(String, String) -> BoxFuture<'store, Result<Vec<Settled>, StoreError>>,
) -> Result<(), StoreError> {
    let whole = settle(error_type.to_owned(), error_message.to_owned());
    let settled = match client.call_without_deadline(operation, whole).await {
        Err(refusal) if is_refusal(&refusal) => {
            let note = without_text(error_message, &refusal);
            tracing::error!(%refusal, "the error of a dead letter is left out");
            client.call_without_deadline(operation, settle(String::new(), note)).await?
        }
        other => other?,
    };
    client.note_fenced(operation, &settled);
    Ok(())
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

/// Tells people that a message became a dead letter or an invalid message.
pub(crate) fn log_dead_letter(
    letter: &DeadLetterId,
    message_type: &str,
    reason: DeadLetterReason,
    error_message: &str,
) {
    // A type that is unknown here is any text that a peer has sent.
    let label = if reason.is_invalid_message() { "unknown" } else { message_type };
    metrics::counter!(
        telemetry::DEAD_LETTERS,
        "reason" => reason.as_str(),
        "message.type" => label.to_owned(),
    )
    .increment(1);
    tracing::error!(
        message.id = %letter.id,
        message.type = message_type,
        destination = %letter.destination,
        %reason,
        error = error_message,
        "given up; kept as a dead letter"
    );
}
