//! From MySQL's error numbers to what the caller can do about them.

use std::error::Error;

use sqlx::MySql;
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError};

use crate::source_error::SourceError;
use crate::store::StoreError;
use crate::store::sql::conflict;
use crate::store::sql::meaning::Meaning;
use crate::store::sql::place::{self, ErrorTable};

/// Numbers, as <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html> and
/// <https://mariadb.com/docs/server/reference/error-codes> list them.
mod number {
    /// Both servers have several numbers for a disk that is full; see also [`ENGINE`].
    pub(super) const DISK_FULL: [u16; 2] = [1021, 1114];
    /// What the operating system said stands in the text.
    pub(super) const ENGINE: [u16; 3] = [3, 1026, 1030];
    pub(super) const READ_ONLY: [u16; 3] = [1290, 1792, 1836];
    /// Too many connections, of all or of this user.
    pub(super) const CROWDED: [u16; 3] = [1040, 1203, 1226];
    /// Given up by a person or a time limit.
    pub(super) const INTERRUPTED: [u16; 3] = [1317, 1969, 3024];
    /// Those of them that come again: the session's own time limit.
    pub(super) const OWN_LIMIT: [u16; 2] = [1969, 3024];
    /// The session, or its transaction, may not write. The server that may not has 1290 and 1836.
    pub(super) const READ_ONLY_TRANSACTION: u16 = 1792;
    /// Access to the database, which a handler may have given up.
    pub(super) const NO_ACCESS: u16 = 1044;
    /// A right on a database, a table or a column that the user lacks.
    pub(super) const FORBIDDEN: [u16; 5] = [1044, 1142, 1143, 1227, 1370];
    /// Access, unknown database, shut down, killed.
    pub(super) const UNREACHABLE: [u16; 8] = [1044, 1045, 1049, 1053, 1129, 1130, 1698, 1927];
    /// A lock was waited for in vain, or not waited for.
    pub(super) const LOCKED: [u16; 2] = [1205, 3572];
    /// The transaction is rolled back: a deadlock, or a record that changed in between.
    pub(super) const ROLLED_BACK: [u16; 2] = [1213, 1020];
    pub(super) const DUPLICATE_KEY: u16 = 1062;
    pub(super) const NO_SUCH_SAVEPOINT: u16 = 1305;
    pub(super) const NO_SUCH_SESSION: u16 = 1094;
    /// The session is ended, by a person, another process or a limit of the server.
    pub(super) const ENDED: [u16; 5] = [1053, 1927, 4031, 1159, 1161];
}

/// How the operating system numbers a disk that is full.
const NO_SPACE: &str = "28";

/// The database, as errors name it.
pub(super) type Place = place::Place<MySql>;

pub(super) fn place_of(options: &MySqlConnectOptions) -> Place {
    let database = options.get_database().unwrap_or_default();
    let socket = options.get_socket().map(|socket| socket.as_path());
    Place::new(socket, options.get_host(), options.get_port(), database)
}

impl ErrorTable for MySql {
    const NO_CONNECTION: &'static str = "no connection is free, and no new one could be opened";

    fn meaning(error: &sqlx::Error) -> Option<Meaning> {
        if matches!(error, sqlx::Error::Protocol(_)) {
            // Answers of a connection that was left in the middle of a statement are no answers.
            return Some(Meaning::Unreachable);
        }
        match number_of(error)? {
            n if is_full(n, &error.to_string()) => Some(Meaning::Full),
            n if number::READ_ONLY.contains(&n) => Some(Meaning::ReadOnly),
            n if is_busy(n) => Some(Meaning::Busy),
            n if number::UNREACHABLE.contains(&n) => Some(Meaning::Unreachable),
            _ => None,
        }
    }

    fn shown(error: sqlx::Error) -> SourceError {
        match error {
            sqlx::Error::Encode(refusal) => SourceError::boxed(refusal),
            error => error.into(),
        }
    }
}

impl Place {
    /// What an error means with which a change of the schema, or a look at it, failed.
    pub(super) fn schema_error(&self, what: &'static str, error: sqlx::Error) -> StoreError {
        if !number_of(&error).is_some_and(|number| number::FORBIDDEN.contains(&number)) {
            return self.error(error);
        }
        let (place, detail) = (self.name(), error.to_string());
        StoreError::Forbidden { place, what, detail, source: Some(error.into()) }
    }

    /// What an error means with which the completion of a handler's transaction failed. What comes
    /// again with every attempt is the handler's doing: what it has set, locked or dropped.
    pub(super) fn completion_error(&self, error: sqlx::Error) -> StoreError {
        match error {
            // What the handler sends cannot be stored, however often it is tried.
            sqlx::Error::Encode(refusal) => StoreError::CommitRefused {
                detail: refusal.to_string(),
                source: Some(SourceError::boxed(refusal)),
            },
            error => self.commit_error(error),
        }
    }

    /// What an error means with which the commit of a handler's transaction failed.
    pub(super) fn commit_error(&self, error: sqlx::Error) -> StoreError {
        let said = number_of(&error);
        let detail = error.to_string();
        let other = self.error(error);
        let refused = match (&other, said) {
            (_, Some(number::NO_SUCH_SAVEPOINT)) => return StoreError::TransactionEnded,
            (_, None) => false,
            (StoreError::Database(_), Some(_)) => true,
            (_, Some(number::READ_ONLY_TRANSACTION | number::NO_ACCESS)) => true,
            (_, Some(said)) => number::OWN_LIMIT.contains(&said),
        };
        if refused { other.into_refusal(detail) } else { other }
    }
}

fn is_full(number: u16, detail: &str) -> bool {
    let is_number = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit()) == NO_SPACE;
    number::DISK_FULL.contains(&number)
        || number::ENGINE.contains(&number) && detail.split_whitespace().any(is_number)
}

fn is_busy(number: u16) -> bool {
    number::LOCKED.contains(&number)
        || number::ROLLED_BACK.contains(&number)
        || number::CROWDED.contains(&number)
        || number::INTERRUPTED.contains(&number)
}

/// Whether the statement met a row with its key, and changed nothing.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    number_of(error) == Some(number::DUPLICATE_KEY)
}

/// Whether the whole transaction is rolled back, and may be tried again.
pub(super) fn is_rolled_back(error: &sqlx::Error) -> bool {
    number_of(error).is_some_and(|number| number::ROLLED_BACK.contains(&number))
}

/// Whether the server answered a statement with it, and goes on with the session.
pub(super) fn is_of_statement(error: &sqlx::Error) -> bool {
    number_of(error).is_some_and(|number| !number::ENDED.contains(&number))
}

/// Whether the connection is of no further use.
pub(super) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => !is_of_statement(error),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether a connection is refused that may be taken soon.
pub(super) fn is_of_start(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        error => number_of(error).is_some_and(|number| number::CROWDED.contains(&number)),
    }
}

/// Whether a session that is to be ended has ended.
pub(super) fn is_no_session(error: &sqlx::Error) -> bool {
    number_of(error) == Some(number::NO_SUCH_SESSION)
}

/// Whether a handler's transaction has met another one.
pub(super) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    conflict::is_any(error, |said| {
        let said = said.try_downcast_ref::<MySqlDatabaseError>();
        said.is_some_and(|said| {
            number::ROLLED_BACK.contains(&said.number()) || number::LOCKED.contains(&said.number())
        })
    })
}

fn number_of(error: &sqlx::Error) -> Option<u16> {
    let said = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(said.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_secrets() {
        let options: MySqlConnectOptions =
            "mysql://me:secret@db.example:3307/shop".parse().unwrap();
        assert_eq!(place_of(&options).name(), "db.example:3307/shop");
    }

    #[test]
    fn a_full_disk_is_known_by_what_the_system_said() {
        assert!(is_full(1114, "The table 'jasper_incoming' is full"));
        let detail = "Got error 28 \"No space left on device\" from storage engine InnoDB";
        assert!(is_full(1030, detail));
        assert!(is_full(1026, "Error writing file 'x' (errno: 28 \"No space left on device\")"));
        assert!(!is_full(1030, "Got error 128 from storage engine"));
    }
}
