//! The dead-letter port: messages that are not tried again unless a person says so.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::error::StoreError;
use super::record::Ownership;
use crate::envelope::{Address, Envelope, MessageId, time};
use crate::error_text;

/// Dead letters and invalid messages, kept with their bytes.
///
/// The runtime itself only [stores](Self::store) letters. All else is for the application, through
/// [`Jasper::store`](crate::Jasper::store): it gets each error, and nothing is repeated.
pub trait DeadLetters: Send + Sync {
    /// Those that the query selects, newest first. It lists no further letter once those that it
    /// has are 8 MiB together; [`DeadLetterQuery::after`] asks for the next page.
    ///
    /// # Errors
    /// The letters cannot be read.
    fn list(&self, query: DeadLetterQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>>;

    /// Puts letters back into the inbox as new messages with no attempts; says how many were there.
    ///
    /// Where the inbox has the message again already, the letter goes and nothing else changes.
    /// Many are put back in pages, each in a transaction of its own and of no more bytes than
    /// [`list`](Self::list) gives at once.
    ///
    /// # Errors
    /// [`StoreError::Partial`] where pages before are done; the same call again does the rest.
    /// Where the first page fails, its error itself.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some pages may be done; the same call again does the rest.
    fn replay(&self, ids: Vec<DeadLetterId>) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Deletes letters, many in pages; says how many were there.
    ///
    /// # Errors
    /// As of [`replay`](Self::replay).
    fn discard(&self, ids: Vec<DeadLetterId>) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Replays what the query selects, newest first and page by page, without holding more than a
    /// page in memory; says how many there were.
    ///
    /// # Errors
    /// As of [`replay`](Self::replay).
    fn replay_selected(&self, query: DeadLetterQuery) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(selected(query, |query| self.list(query), |ids| self.replay(ids)))
    }

    /// Discards what the query selects, as [`replay_selected`](Self::replay_selected) replays it.
    ///
    /// # Errors
    /// As of [`replay`](Self::replay).
    fn discard_selected(&self, query: DeadLetterQuery) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(selected(query, |query| self.list(query), |ids| self.discard(ids)))
    }

    /// Stores a letter that never stood in the inbox, such as one of a buffered queue. One with the
    /// same id and destination is replaced.
    ///
    /// # Errors
    /// The letter is not kept. After [`StoreError::Database`] the runtime leaves out what the
    /// database may not take: first the text of the error, then the body, then both. Of a message
    /// that was in memory it then repeats the call until it succeeds or the application ends. Of
    /// what a listener has received, a [transient](StoreError::is_transient) error defers the
    /// message and any other one refuses it.
    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The most letters of one page.
const PAGE: usize = 250;

/// Does something with what a query selects, page by page.
async fn selected<'s>(
    query: DeadLetterQuery,
    list: impl Fn(DeadLetterQuery) -> BoxFuture<'s, Result<Vec<DeadLetter>, StoreError>> + Send,
    each: impl Fn(Vec<DeadLetterId>) -> BoxFuture<'s, Result<u64, StoreError>> + Send,
) -> Result<u64, StoreError> {
    let (mut done, mut left) = (0, query.limit);
    while left > 0 {
        let page = DeadLetterQuery { limit: left.min(PAGE), ..query.clone() };
        let letters = list(page).await.map_err(|error| error.after(done))?;
        let ids: Vec<_> = letters.into_iter().map(|letter| letter.id).collect();
        let listed = ids.len();
        if listed == 0 {
            break;
        }
        done += each(ids).await.map_err(|error| error.after(done))?;
        left -= listed;
    }
    Ok(done)
}

/// What was done with a page of letters.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paged {
    /// How many of them were there.
    pub(crate) found: u64,
    /// How many of its first letters are done: the others are more bytes than go at once.
    pub(crate) done: usize,
}

/// Does something with letters, page by page, and says how many were there.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver"))]
pub(crate) async fn in_pages<'s>(
    ids: Vec<DeadLetterId>,
    each: impl Fn(Vec<DeadLetterId>) -> BoxFuture<'s, Result<Paged, StoreError>>,
) -> Result<u64, StoreError> {
    let (mut found, mut rest) = (0, ids.as_slice());
    while !rest.is_empty() {
        let page = &rest[..rest.len().min(PAGE)];
        let paged = each(page.to_vec()).await.map_err(|error| error.after(found))?;
        found += paged.found;
        // At least one, so that there is an end.
        rest = &rest[paged.done.clamp(1, page.len())..];
    }
    Ok(found)
}

/// Which message, on its way to which destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId {
    /// The message.
    pub id: MessageId,
    /// Its destination.
    pub destination: Address,
}

/// A message with the reason why it is no longer tried.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Which it is.
    pub id: DeadLetterId,
    /// Why it is here.
    pub reason: DeadLetterReason,
    /// The message type as stored, which need not be one that this build knows.
    pub message_type: String,
    /// The type of the last error, for grouping; at most [`LONGEST_ERROR_TYPE`] bytes are stored.
    ///
    /// [`LONGEST_ERROR_TYPE`]: Self::LONGEST_ERROR_TYPE
    pub error_type: String,
    /// The last error in words; at most [`LONGEST_ERROR`](Self::LONGEST_ERROR) bytes are stored,
    /// and say how much was left out.
    pub error_message: String,
    /// How many attempts were counted.
    pub attempts: u32,
    /// The envelope's binary form as it stood in the inbox or the outbox.
    pub body: Bytes,
    /// When it became a dead letter; ignored when it is stored.
    pub dead_lettered_at: SystemTime,
}

impl DeadLetter {
    /// The most bytes of [`error_message`](Self::error_message) in a store.
    pub const LONGEST_ERROR: usize = error_text::LONGEST;

    /// The most bytes of [`error_type`](Self::error_type) in a store.
    pub const LONGEST_ERROR_TYPE: usize = error_text::LONGEST_TYPE;

    /// The letter as every store keeps it: with its texts cut.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let cut = |text: &mut String, cut: fn(&str) -> Cow<'_, str>| {
            if let Cow::Owned(short) = cut(text) {
                *text = short;
            }
        };
        cut(&mut self.error_type, error_text::cut_type);
        cut(&mut self.error_message, error_text::cut);
        self
    }

    /// Where it stands in the list, for [`DeadLetterQuery::after`].
    pub fn place(&self) -> DeadLetterPlace {
        DeadLetterPlace { dead_lettered_at: self.dead_lettered_at, id: self.id.clone() }
    }

    /// The body with which a letter is replayed: it is replayed to be handled, so it no longer
    /// expires. Bytes that are no envelope stay as they are.
    pub fn body_for_replay(body: &Bytes) -> Bytes {
        match Envelope::from_bytes(body) {
            Ok(envelope) => Envelope { deliver_by: None, ..envelope }.to_bytes(),
            Err(_unreadable) => body.clone(),
        }
    }
}

/// Why a row that is held becomes a dead letter: what its store adds to what stands in the row.
#[derive(Debug, Clone)]
pub(super) struct DeadLetterCause<'b> {
    pub(super) ownership: &'b Ownership,
    pub(super) reason: DeadLetterReason,
    pub(super) error_type: Cow<'b, str>,
    pub(super) error_message: Cow<'b, str>,
}

impl<'b> DeadLetterCause<'b> {
    /// With texts as every store keeps them.
    pub(super) fn new(
        ownership: &'b Ownership,
        reason: DeadLetterReason,
        error_type: &'b str,
        error_message: &'b str,
    ) -> Self {
        let (error_type, error_message) =
            (error_text::cut_type(error_type), error_text::cut(error_message));
        Self { ownership, reason, error_type, error_message }
    }

    /// Of an outgoing row that cannot be read, and so cannot be sent; as an invalid message it is
    /// at least seen.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver"))]
    pub(super) fn of_unreadable(ownership: &'b Ownership, error_message: &'b str) -> Self {
        let error_type = std::any::type_name::<crate::envelope::DecodeError>();
        Self::new(ownership, DeadLetterReason::Undecodable, error_type, error_message)
    }

    /// The letter of a row with this message, a dead letter from now on.
    pub(super) fn letter(&self, message_type: String, body: Bytes) -> DeadLetter {
        let Ownership { id, destination, attempts, .. } = self.ownership.clone();
        DeadLetter {
            id: DeadLetterId { id, destination },
            reason: self.reason,
            message_type,
            error_type: self.error_type.clone().into_owned(),
            error_message: self.error_message.clone().into_owned(),
            attempts,
            body,
            dead_lettered_at: time::now(),
        }
    }
}

/// Which letters to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Only those with this reason.
    pub reason: Option<DeadLetterReason>,
    /// Only those of this message type, as stored.
    pub message_type: Option<String>,
    /// Only those that come after this place in the list, such as that of the last letter of the
    /// page before.
    pub after: Option<DeadLetterPlace>,
    /// The most to return.
    pub limit: usize,
}

/// Where a letter stands in the list: by when it became a dead letter, and by its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterPlace {
    /// When it became a dead letter.
    pub dead_lettered_at: SystemTime,
    /// Which it is.
    pub id: DeadLetterId,
}

impl Default for DeadLetterQuery {
    fn default() -> Self {
        Self { reason: None, message_type: None, after: None, limit: 100 }
    }
}

/// Why a message is no longer tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// Its handler failed as often as its policy allows.
    Exhausted,
    /// Its handler said that trying again is of no use.
    Terminal,
    /// An invalid message: its bytes are not what its type says.
    Undecodable,
    /// An invalid message: no handler of this application takes its type.
    UnknownType,
    /// Its receiver refused it: sent to it again, it would be refused again.
    Refused,
    /// A broker gave it up before this application had it, or a listener without a store.
    Broker,
    /// A reason that this build does not know, as of a newer one that shares the store.
    Unknown,
}

impl DeadLetterReason {
    /// All reasons that this build gives.
    pub const ALL: [Self; 6] = [
        Self::Exhausted,
        Self::Terminal,
        Self::Undecodable,
        Self::UnknownType,
        Self::Refused,
        Self::Broker,
    ];

    /// The name under which it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Terminal => "terminal",
            Self::Undecodable => "undecodable",
            Self::UnknownType => "unknown_type",
            Self::Refused => "refused",
            Self::Broker => "broker",
            Self::Unknown => "unknown",
        }
    }

    /// The reason that stands in a row under this name, whichever build has written it.
    pub fn as_stored(name: &str) -> Self {
        Self::from_name(name).unwrap_or(Self::Unknown)
    }

    /// The reason stored under this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether the message itself is at fault, not its handling.
    pub const fn is_invalid_message(self) -> bool {
        matches!(self, Self::Undecodable | Self::UnknownType)
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
