//! From PostgreSQL's error codes to what the caller can do about them.

use std::error::Error;

use sqlx::Postgres;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError};

use crate::store::StoreError;
use crate::store::error::caused_by;
use crate::store::sql::conflict;
use crate::store::sql::meaning::Meaning;
use crate::store::sql::place::{self, ErrorTable};

/// Codes and classes, as <https://www.postgresql.org/docs/current/errcodes-appendix.html> lists
/// them.
mod code {
    /// A class: the connection failed.
    pub(super) const CONNECTION: &str = "08";
    /// The handler went on after an error of its own.
    pub(super) const FAILED_TRANSACTION: &str = "25P02";
    pub(super) const NO_TRANSACTION: &str = "25P01";
    pub(super) const NO_SAVEPOINT: &str = "3B001";
    pub(super) const READ_ONLY: &str = "25006";
    /// A class: user name and password.
    pub(super) const AUTHORIZATION: &str = "28";
    pub(super) const NO_SUCH_DATABASE: &str = "3D000";
    pub(super) const SERIALIZATION: &str = "40001";
    pub(super) const DEADLOCK: &str = "40P01";
    /// A class: memory, connections, and the disk, which has a code of its own.
    pub(super) const RESOURCES: &str = "53";
    pub(super) const DISK_FULL: &str = "53100";
    pub(super) const DEPENDENT_OBJECTS: &str = "2BP01";
    pub(super) const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    /// A class: shut down, restarted, or cancelled by a person or a time limit.
    pub(super) const INTERVENTION: &str = "57";
    pub(super) const CANCELLED: &str = "57014";
}

/// The database, as errors name it.
pub(super) type Place = place::Place<Postgres>;

pub(super) fn place_of(options: &PgConnectOptions) -> Place {
    let database = options.get_database().unwrap_or(options.get_username());
    let socket = options.get_socket().map(|socket| socket.as_path());
    Place::new(socket, options.get_host(), options.get_port(), database)
}

impl ErrorTable for Postgres {
    const NO_CONNECTION: &'static str = "all of this store's connections are in use";

    fn meaning(error: &sqlx::Error) -> Option<Meaning> {
        let code = code_of(error)?;
        match (&*code, code.get(..2).unwrap_or_default()) {
            (code::READ_ONLY, _) => Some(Meaning::ReadOnly),
            (code::DISK_FULL, _) => Some(Meaning::Full),
            (code::SERIALIZATION | code::DEADLOCK | code::LOCK_NOT_AVAILABLE, _)
            | (code::CANCELLED, _)
            | (_, code::RESOURCES) => Some(Meaning::Busy),
            (code::NO_SUCH_DATABASE, _)
            | (_, code::CONNECTION | code::AUTHORIZATION | code::INTERVENTION) => {
                Some(Meaning::Unreachable)
            }
            _ => None,
        }
    }
}

impl Place {
    /// Whether a database with this encoding has all characters.
    pub(super) fn check_encoding(&self, encoding: &str) -> Result<(), StoreError> {
        if encoding == "UTF8" {
            return Ok(());
        }
        let detail = format!(
            "its encoding is {encoding}, which has not all characters; create the database with \
             `encoding 'UTF8'`"
        );
        Err(StoreError::Unsuitable { place: self.name(), detail })
    }

    /// What an error means with which a change of the schema, or a look at it, failed.
    pub(super) fn schema_error(&self, what: &'static str, error: sqlx::Error) -> StoreError {
        let place = self.name();
        match code_of(&error).as_deref() {
            Some(code::INSUFFICIENT_PRIVILEGE) => {
                let detail = error.to_string();
                StoreError::Forbidden { place, what, detail, source: caused_by(error) }
            }
            Some(code::DEPENDENT_OBJECTS) => {
                let said = error.as_database_error();
                let said = said.and_then(|said| said.try_downcast_ref::<PgDatabaseError>());
                let objects = said.and_then(PgDatabaseError::detail).unwrap_or_default();
                let detail = format!(
                    "a table of jasper cannot be dropped, as other objects depend on it: \
                     {objects}; drop those first"
                );
                StoreError::Unsuitable { place, detail }
            }
            _ => self.error(error),
        }
    }

    /// The error of a run that was undone with the others of its transaction.
    pub(super) fn spoiled(&self, cause: &str) -> StoreError {
        let detail = format!("a transaction shared by several messages was undone: {cause}");
        StoreError::Busy { place: self.name(), detail, source: None }
    }

    /// Whether an error says that there is no transaction, or none with our savepoint.
    pub(super) fn ended_by_handler(&self, error: &sqlx::Error) -> bool {
        matches!(code_of(error).as_deref(), Some(code::NO_TRANSACTION | code::NO_SAVEPOINT))
    }

    /// What an error means with which the completion of a handler's transaction failed.
    pub(super) fn completion_error(&self, error: sqlx::Error) -> StoreError {
        match code_of(&error).as_deref() {
            Some(code::FAILED_TRANSACTION) => StoreError::CommitRefused {
                detail: "one of its statements failed, and it went on".to_owned(),
                source: caused_by(error),
            },
            _ => self.commit_error(error),
        }
    }

    /// What an error means with which the commit of a handler's transaction failed. What the
    /// database checks no earlier, such as a deferred constraint, was the handler's doing, and so
    /// is what comes of a role or a setting that it has left.
    pub(super) fn commit_error(&self, error: sqlx::Error) -> StoreError {
        let by_database = code_of(&error).is_some();
        let detail = error.to_string();
        match self.error(error) {
            other @ (StoreError::Database(_) | StoreError::ReadOnly { .. }) if by_database => {
                other.into_refusal(detail)
            }
            other => other,
        }
    }
}

/// Whether a handler's transaction has met another one.
pub(super) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    conflict::is_any(error, |said| {
        let code = said.code();
        matches!(
            code.as_deref(),
            Some(code::SERIALIZATION | code::DEADLOCK | code::LOCK_NOT_AVAILABLE)
        )
    })
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_secrets() {
        let options: PgConnectOptions =
            "postgres://me:secret@db.example:5433/shop".parse().unwrap();
        assert_eq!(place_of(&options).name(), "db.example:5433/shop");
    }
}
