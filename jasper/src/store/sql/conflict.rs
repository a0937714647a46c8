//! The database's error in what a handler gives as its own.

use std::error::Error;
use std::sync::Arc;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use sqlx::error::DatabaseError;

use crate::store::StoreError;

/// Whether this error, by itself and without its causes, is one of the database that `is_conflict`
/// knows, or one of a store that is busy.
///
/// A transparent error of the user's shows the driver's cause in place of the driver's error.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(crate) fn is_any(
    error: &(dyn Error + 'static),
    is_conflict: impl Fn(&dyn DatabaseError) -> bool,
) -> bool {
    if let Some(is_busy) = of_store(error) {
        return is_busy;
    }
    let said = error.downcast_ref::<Box<dyn DatabaseError>>().map(|said| &**said);
    said.or_else(|| shared::<sqlx::Error>(error)?.as_database_error()).is_some_and(is_conflict)
}

/// Whether an error of a store is one of a store that is busy; `None`: it is no such error.
pub(crate) fn of_store(error: &(dyn Error + 'static)) -> Option<bool> {
    let error = error.downcast_ref::<StoreError>()?;
    Some(matches!(error, StoreError::Busy { .. }))
}

/// An error of the driver, by itself or as programs share it.
pub(crate) fn shared<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let shared = || error.downcast_ref::<Arc<E>>().map(|error| &**error);
    let boxed = || error.downcast_ref::<Box<E>>().map(|error| &**error);
    error.downcast_ref().or_else(shared).or_else(boxed)
}
