//! A database on a server, and what its errors mean for the caller.

use std::marker::PhantomData;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::meaning::Meaning;
use crate::source_error::SourceError;
use crate::store::StoreError;
use crate::store::error::caused_by;

/// The errors of one database, by what the caller can do about them.
pub(crate) trait ErrorTable: 'static {
    /// What is said where no connection of the pool is free in time.
    const NO_CONNECTION: &'static str;

    /// What an error of the server means, or one of the driver for which this database has a
    /// meaning of its own. `None`: what it means everywhere.
    fn meaning(error: &sqlx::Error) -> Option<Meaning>;

    /// An error without a meaning, as it is shown.
    fn shown(error: sqlx::Error) -> SourceError {
        error.into()
    }
}

/// The database, as errors name it: without user name and password.
#[derive(Debug)]
pub(crate) struct Place<T> {
    name: Arc<str>,
    table: PhantomData<fn() -> T>,
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), table: PhantomData }
    }
}

impl<T: ErrorTable> Place<T> {
    /// A database behind a socket in the file system, or else a host and a port.
    pub(crate) fn new(socket: Option<&Path>, host: &str, port: u16, database: &str) -> Self {
        let name = match socket {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!("{host}:{port}/{database}"),
        };
        Self { name: name.into(), table: PhantomData }
    }

    pub(crate) fn name(&self) -> String {
        self.name.to_string()
    }

    /// What an error means at this place.
    pub(crate) fn error(&self, error: sqlx::Error) -> StoreError {
        let (place, detail) = (self.name(), error.to_string());
        match (T::meaning(&error), error) {
            (Some(meaning), error) => meaning.error(place, detail, caused_by(error)),
            (
                None,
                error @ (sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed),
            ) => Meaning::Unreachable.error(place, detail, caused_by(error)),
            (None, error @ sqlx::Error::PoolTimedOut) => {
                Meaning::Busy.error(place, T::NO_CONNECTION.to_owned(), caused_by(error))
            }
            (None, sqlx::Error::PoolClosed) => StoreError::Closed,
            (None, error) => StoreError::Database(T::shown(error)),
        }
    }
}

/// What a URL with one of these schemes, such as the example, says of a database.
///
/// # Errors
/// It is none. The URL is not repeated, as it may have a password in it.
pub(crate) fn of_url<O: FromStr<Err = sqlx::Error>>(
    url: &str,
    schemes: &[&str],
    example: &str,
) -> Result<O, StoreError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _rest)| scheme);
    let parsed = if schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        O::from_str(url).map_err(|error| error.to_string())
    } else {
        Err(format!("it does not begin with `{}://`", schemes.join("://` or `")))
    };
    parsed.map_err(|why| StoreError::Unsuitable {
        place: "the URL".to_owned(),
        detail: format!("{why}; write one such as `{example}`"),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Table;

    impl ErrorTable for Table {
        const NO_CONNECTION: &'static str = "all are in use";

        fn meaning(error: &sqlx::Error) -> Option<Meaning> {
            matches!(error, sqlx::Error::RowNotFound).then_some(Meaning::Full)
        }
    }

    #[test]
    fn a_place_is_named_by_its_socket_or_by_its_host() {
        let socket = Place::<Table>::new(Some(Path::new("/run/db")), "x", 1, "shop");
        assert_eq!(socket.name(), "/run/db/shop");
        let host = Place::<Table>::new(None, "db.example", 5433, "shop");
        assert_eq!(host.name(), "db.example:5433/shop");
    }

    #[test]
    fn errors_of_the_driver_mean_the_same_in_every_store_unless_its_table_has_them() {
        let place = Place::<Table>::new(None, "db", 1, "shop");
        let lost = sqlx::Error::Io(io::ErrorKind::ConnectionReset.into());
        assert!(matches!(place.error(lost), StoreError::Unreachable { .. }));
        let busy = place.error(sqlx::Error::PoolTimedOut);
        assert!(matches!(busy, StoreError::Busy { detail, .. } if detail == "all are in use"));
        assert!(matches!(place.error(sqlx::Error::PoolClosed), StoreError::Closed));
        assert!(matches!(place.error(sqlx::Error::RowNotFound), StoreError::Full { .. }));
        let other = place.error(sqlx::Error::ColumnNotFound("x".to_owned()));
        assert!(matches!(other, StoreError::Database(_)));
    }

    #[test]
    fn a_url_that_is_none_is_no_fault_of_the_server_and_is_not_repeated() {
        #[derive(Debug)]
        struct Options;

        impl FromStr for Options {
            type Err = sqlx::Error;

            fn from_str(url: &str) -> sqlx::Result<Self> {
                url.ends_with("/shop").then_some(Self).ok_or(sqlx::Error::RowNotFound)
            }
        }

        let parse = |url| of_url::<Options>(url, &["db", "dbx"], "db://user@host/shop");
        let other_scheme = "it does not begin with `db://` or `dbx://`";
        for (wrong, why) in [
            ("db://me:secret@host", "no rows"),
            ("other://me:secret@host/shop", other_scheme),
            ("secret", other_scheme),
        ] {
            let refused = parse(wrong).unwrap_err();
            assert!(matches!(refused, StoreError::Unsuitable { .. }), "{refused:?}");
            assert!(!refused.is_transient(), "{refused}");
            let said = refused.to_string();
            assert!(said.contains(why) && said.contains("db://user@host/shop"), "{said}");
            assert!(!format!("{refused:?} {said}").contains("secret"), "{refused:?}");
        }
        assert!(parse("DBX://me:secret@host/shop").is_ok());
    }
}
