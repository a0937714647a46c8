//! From SQL Server's error numbers to what the caller can do about them.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{PoolError, TimeoutType};
use tiberius::error::{Error as DriverError, IoErrorKind};

use crate::source_error::SourceError;
use crate::store::StoreError;
use crate::store::sql::conflict;
use crate::store::sql::meaning::Meaning;

/// Numbers, as <https://learn.microsoft.com/sql/relational-databases/errors-events/> lists them.
mod number {
    /// No room in a file group, for a page, or in the log.
    pub(super) const DISK_FULL: [u32; 4] = [1101, 1105, 9002, 40544];
    pub(super) const READ_ONLY: [u32; 3] = [3906, 3908, 15562];
    /// A lock was waited for in vain.
    pub(super) const LOCKED: [u32; 2] = [1222, 1204];
    /// The transaction is rolled back: a deadlock, or a row that changed after the snapshot.
    pub(super) const ROLLED_BACK: [u32; 4] = [1205, 3960, 3961, 41302];
    pub(super) const DUPLICATE_KEY: [u32; 2] = [2627, 2601];
    /// Too little memory, too many requests, or a database of Azure that moves.
    pub(super) const CROWDED: [u32; 9] =
        [701, 8645, 8651, 10928, 10929, 40501, 49918, 49919, 49920];
    /// Login, database, shut down, killed, moved elsewhere.
    pub(super) const UNREACHABLE: [u32; 13] =
        [233, 596, 916, 4060, 6005, 17142, 18401, 18456, 18486, 18487, 40197, 40613, 42108];
    /// The session has ended, or ends with this.
    pub(super) const ENDED: [u32; 4] = [596, 6005, 17142, 40197];
    /// A right on an object, a schema, a database or the server that the login lacks.
    pub(super) const FORBIDDEN: [u32; 11] =
        [229, 230, 262, 297, 300, 1088, 2760, 3701, 3704, 15151, 15247];
    /// There is no transaction to commit or roll back, or it can only be rolled back.
    pub(super) const NO_TRANSACTION: [u32; 5] = [3902, 3903, 3930, 3998, 266];
}

/// What went wrong in the store's own use of a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// What the tables cannot hold.
    #[error(transparent)]
    Unstorable(#[from] Unstorable),
    #[error("no connection is free, and no new one could be opened")]
    NoConnection,
    #[error("the server does not give a session the lock of its name")]
    NoLock,
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("the pool of connections is closed")]
    Closed,
}

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// What a table cannot hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unstorable {
    #[error(
        "the {what} `{text}` has more than {longest} UTF-16 code units, which the SQL Server store \
         cannot keep"
    )]
    TooLong { what: &'static str, text: String, longest: usize },
    /// SQL compares without it, so that two destinations would be one.
    #[error("the {what} `{text}` ends in a space, which the SQL Server store does not tell apart")]
    EndsInSpace { what: &'static str, text: String },
    #[error("a message of {bytes} bytes is larger than the SQL Server store takes, which is 2 GiB")]
    LargeBody { bytes: usize },
}

impl Error {
    /// The error of a pool.
    pub(super) fn of_pool(error: PoolError<Self>, limit: Duration) -> Self {
        match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(TimeoutType::Create) => Self::Silent(limit),
            PoolError::Timeout(_) => Self::NoConnection,
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Closed
            }
        }
    }

    fn number(&self) -> Option<u32> {
        match self {
            Self::Driver(error) => error.code(),
            _ => None,
        }
    }
}

/// The database, as errors name it: without user name and password.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<str>);

impl Place {
    pub(super) fn new(server: &str, database: Option<&str>) -> Self {
        match database {
            Some(database) => Self(format!("{server}/{database}").into()),
            None => Self(server.into()),
        }
    }

    pub(super) fn name(&self) -> String {
        self.0.to_string()
    }

    /// What an error means at this place.
    pub(super) fn error(&self, error: Error) -> StoreError {
        let (place, detail) = (self.name(), error.to_string());
        match (meaning(&error), error) {
            (Some(meaning), error) => meaning.error(place, detail, Some(error.into_source())),
            (None, Error::Closed) => StoreError::Closed,
            (None, Error::Silent(limit)) => StoreError::Deadline { limit },
            (None, error) => StoreError::Database(error.into_source()),
        }
    }

    /// What an error means with which a change of the schema, or a look at it, failed.
    pub(super) fn schema_error(&self, what: &'static str, error: Error) -> StoreError {
        if !error.number().is_some_and(|number| number::FORBIDDEN.contains(&number)) {
            return self.error(error);
        }
        let (place, detail) = (self.name(), error.to_string());
        StoreError::Forbidden { place, what, detail, source: Some(error.into_source()) }
    }

    /// What an error means with which the completion of a handler's transaction failed. What comes
    /// again with every attempt is the handler's doing: what it has set, locked or dropped.
    pub(super) fn completion_error(&self, error: Error) -> StoreError {
        let detail = error.to_string();
        let other = match error {
            // What the handler sends cannot be stored, however often it is tried.
            error @ Error::Unstorable(_) => StoreError::Database(error.into_source()),
            error if is_no_transaction(&error) => return StoreError::TransactionEnded,
            // Another transaction has stored it now: the next run finds it there.
            error if is_duplicate(&error) => {
                return Meaning::Busy.error(self.name(), detail, Some(error.into_source()));
            }
            error => self.error(error),
        };
        match other {
            StoreError::Database(_) => other.into_refusal(detail),
            other => other,
        }
    }
}

impl Error {
    /// The error as users find it behind another one: that of the driver is the driver's own.
    fn into_source(self) -> SourceError {
        match self {
            Self::Driver(error) => error.into(),
            other => other.into(),
        }
    }
}

fn meaning(error: &Error) -> Option<Meaning> {
    match error {
        Error::NoConnection | Error::NoLock => Some(Meaning::Busy),
        Error::Silent(_) | Error::Unstorable(_) | Error::Closed => None,
        Error::Driver(DriverError::Server(said)) => of_number(said.code()),
        Error::Driver(
            DriverError::Io { .. }
            | DriverError::Tls(_)
            | DriverError::Protocol(_)
            | DriverError::Routing { .. },
        ) => Some(Meaning::Unreachable),
        Error::Driver(_) => None,
    }
}

fn of_number(said: u32) -> Option<Meaning> {
    match said {
        n if number::DISK_FULL.contains(&n) => Some(Meaning::Full),
        n if number::READ_ONLY.contains(&n) => Some(Meaning::ReadOnly),
        n if number::LOCKED.contains(&n)
            || number::ROLLED_BACK.contains(&n)
            || number::CROWDED.contains(&n) =>
        {
            Some(Meaning::Busy)
        }
        n if number::UNREACHABLE.contains(&n) => Some(Meaning::Unreachable),
        _ => None,
    }
}

/// Whether a row with the key is there, and the statement changed nothing.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.number().is_some_and(|number| number::DUPLICATE_KEY.contains(&number))
}

/// Whether the whole of a piece of work is undone, and may be tried again.
pub(super) fn is_rolled_back(error: &Error) -> bool {
    let is_undone = |number| number::ROLLED_BACK.contains(&number);
    error.number().is_some_and(is_undone) || is_duplicate(error)
}

fn is_no_transaction(error: &Error) -> bool {
    error.number().is_some_and(|number| number::NO_TRANSACTION.contains(&number))
}

/// Whether a wait for a lock has ended it.
pub(super) fn is_locked(error: &Error) -> bool {
    error.number().is_some_and(|number| number::LOCKED.contains(&number))
}

/// Whether the connection is of no further use.
pub(super) fn is_of_connection(error: &Error) -> bool {
    match error {
        Error::Driver(DriverError::Server(said)) => {
            number::ENDED.contains(&said.code()) || said.class() >= FATAL
        }
        Error::Driver(
            DriverError::Io { .. }
            | DriverError::Tls(_)
            | DriverError::Protocol(_)
            | DriverError::Encoding(_)
            | DriverError::Utf8
            | DriverError::Utf16,
        )
        | Error::Silent(_) => true,
        _ => false,
    }
}

/// From this severity on the server closes the connection.
const FATAL: u8 = 20;

/// Whether a connection is refused that may be taken soon.
pub(super) fn is_of_start(error: &Error) -> bool {
    match error {
        Error::Driver(DriverError::Io { kind, .. }) => *kind == IoErrorKind::ConnectionRefused,
        error => error.number().is_some_and(|number| number::CROWDED.contains(&number)),
    }
}

/// Whether a handler's transaction has met another one.
pub(super) fn is_conflict(error: &(dyn StdError + 'static)) -> bool {
    if let Some(is_busy) = conflict::of_store(error) {
        return is_busy;
    }
    let said = conflict::shared::<DriverError>(error).and_then(DriverError::code);
    said.is_some_and(|said| number::ROLLED_BACK.contains(&said) || number::LOCKED.contains(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_server_and_where_it_is_known_a_database() {
        assert_eq!(Place::new("db:1433", None).name(), "db:1433");
        assert_eq!(Place::new("db:1433", Some("shop")).name(), "db:1433/shop");
    }

    #[test]
    fn numbers_mean_what_the_caller_can_do() {
        let of = |number| of_number(number);
        assert_eq!(of(1205), Some(Meaning::Busy));
        assert_eq!(of(3960), Some(Meaning::Busy));
        assert_eq!(of(1222), Some(Meaning::Busy));
        assert_eq!(of(9002), Some(Meaning::Full));
        assert_eq!(of(3906), Some(Meaning::ReadOnly));
        assert_eq!(of(18456), Some(Meaning::Unreachable));
        assert_eq!(of(2627), None);
    }

    #[test]
    fn what_the_connection_said_is_no_answer_of_the_server() {
        let lost = Error::Driver(DriverError::Io {
            kind: IoErrorKind::ConnectionReset,
            message: "reset".to_owned(),
        });
        assert!(is_of_connection(&lost) && !is_rolled_back(&lost) && !is_duplicate(&lost));
        assert!(is_of_connection(&Error::Silent(Duration::from_secs(1))));
        let place = Place::new("db:1433", Some("shop"));
        assert!(matches!(place.error(lost), StoreError::Unreachable { .. }));
        assert!(matches!(place.error(Error::NoConnection), StoreError::Busy { .. }));
        assert!(matches!(place.error(Error::Closed), StoreError::Closed));
    }
}
