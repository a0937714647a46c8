//! The steps of a store's schema as text.

use std::fmt;

/// One step of a store's schema as SQL, complete: what it creates, and the note that it is done.
///
/// For teams that apply changes of a schema by hand; [`StoreAdmin::migrations`] has them all.
///
/// [`StoreAdmin::migrations`]: super::StoreAdmin::migrations
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationScript {
    /// The version to which it brings the schema, from the one before it.
    pub version: i64,
    /// What it does, in a few words.
    pub name: String,
    /// The statements, for the client of the database.
    pub sql: String,
}

impl MigrationScript {
    /// For authors of stores.
    pub fn new(version: i64, name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { version, name: name.into(), sql: sql.into() }
    }
}

/// The statements, under a comment with version and name.
impl fmt::Display for MigrationScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "-- jasper, version {}: {}", self.version, self.name)?;
        f.write_str(&self.sql)
    }
}
