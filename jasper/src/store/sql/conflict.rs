//! The database's error in what a handler gives as its own.

use std::error::Error;
use std::sync::Arc;

use sqlx::error::DatabaseError;

use crate::store::StoreError;

/// Whether this error, by itself and without its causes, is one of the database that `is_conflict`
/// knows, or one of a store that is busy.
///
/// A transparent error of the user's shows the driver's cause in place of the driver's error.
pub(crate) fn is_any(
    error: &(dyn Error + 'static),
    is_conflict: impl Fn(&dyn DatabaseError) -> bool,
) -> bool {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return matches!(error, StoreError::Busy { .. });
    }
    let said = error.downcast_ref::<Box<dyn DatabaseError>>().map(|said| &**said);
    said.or_else(|| of_driver(error)?.as_database_error()).is_some_and(is_conflict)
}

fn of_driver<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e sqlx::Error> {
    let shared = || error.downcast_ref::<Arc<sqlx::Error>>().map(|error| &**error);
    let boxed = || error.downcast_ref::<Box<sqlx::Error>>().map(|error| &**error);
    error.downcast_ref().or_else(shared).or_else(boxed)
}
