//! The versions of a schema: which one is there, whether this build may use it, and what brings it
//! to the newest.

use std::time::Duration;

use crate::store::StoreError;

/// How often an upgrade is tried that meets a lock, and how long others have the tables then.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// One file of `migrations/`, which brings a schema to its version from the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// `NNNN_name.sql`.
    pub(crate) file: &'static str,
    pub(crate) script: &'static str,
}

impl Migration {
    pub(crate) fn version(&self) -> i64 {
        self.file.split('_').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn description(&self) -> String {
        let name = self.file.split_once('_').map_or(self.file, |(_number, name)| name);
        name.trim_end_matches(".sql").replace('_', " ")
    }
}

/// The migrations of a database, by the names of its folder and of the files in it.
macro_rules! migrations {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[$($crate::store::sql::migrations::Migration {
            file: $file,
            script: include_str!(concat!("../../../migrations/", $folder, "/", $file)),
        },)+]
    };
}

pub(crate) use migrations;

/// The newest version that this build knows.
pub(crate) fn newest_known(migrations: &[Migration]) -> i64 {
    migrations.iter().map(Migration::version).max().unwrap_or(0)
}

/// What a schema is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
    /// Whether it has a table of versions: 0 for no.
    HasVersions,
    NewestVersion,
    /// The oldest version whose builds may use it.
    UsableFrom,
}

/// A schema over a connection to its database.
pub(crate) trait Schema: Send {
    fn ask(&mut self, question: Question) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// The database, as errors name it.
    fn place(&self) -> String;
}

/// The version that is there, 0 for none. A newer one is used as long as the tables are the same
/// for this build: nodes of two versions then work side by side.
///
/// # Errors
/// This build may not use what is there, or the database fails.
pub(crate) async fn version(schema: &mut impl Schema, known: i64) -> Result<i64, StoreError> {
    if schema.ask(Question::HasVersions).await? == 0 {
        return Ok(0);
    }
    let found = schema.ask(Question::NewestVersion).await?;
    if found <= known {
        return Ok(found);
    }
    if schema.ask(Question::UsableFrom).await? > known {
        Err(StoreError::NewerSchema { place: schema.place(), found, known })
    } else {
        Ok(found)
    }
}

/// The tries of an upgrade that meets locks of nodes at work.
#[derive(Debug, Default)]
pub(crate) struct Tries(u32);

impl Tries {
    /// Waits until the next try, where there is to be one after this error.
    pub(crate) async fn after(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.0 += 1;
        match error {
            StoreError::Busy { .. } if self.0 < TRIES => {
                tokio::time::sleep(PAUSE).await;
                Ok(())
            }
            error => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to the three questions.
    struct Answers([i64; 3]);

    impl Schema for Answers {
        async fn ask(&mut self, question: Question) -> Result<i64, StoreError> {
            Ok(match question {
                Question::HasVersions => self.0[0],
                Question::NewestVersion => self.0[1],
                Question::UsableFrom => self.0[2],
            })
        }

        fn place(&self) -> String {
            "shop".to_owned()
        }
    }

    #[tokio::test]
    async fn a_newer_schema_is_used_as_long_as_it_says_that_it_may_be() {
        let version = async |answers| version(&mut Answers(answers), 3).await;
        assert_eq!(version([0, 9, 9]).await.unwrap(), 0);
        assert_eq!(version([1, 2, 9]).await.unwrap(), 2);
        assert_eq!(version([1, 5, 3]).await.unwrap(), 5);
        let refused = version([1, 5, 4]).await.unwrap_err();
        assert!(matches!(refused, StoreError::NewerSchema { found: 5, known: 3, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgrade_that_meets_a_lock_is_tried_again_for_some_time() {
        let busy = || {
            let (place, detail) = (String::new(), String::new());
            StoreError::Busy { place, detail, source: None }
        };
        let mut tries = Tries::default();
        for _try in 1..TRIES {
            tries.after(busy()).await.unwrap();
        }
        assert!(tries.after(busy()).await.is_err());
        assert!(Tries::default().after(StoreError::Closed).await.is_err());
    }

    #[test]
    fn a_migration_is_known_by_the_name_of_its_file() {
        let migration = Migration { file: "0012_claim_by_pair.sql", script: "" };
        assert_eq!(migration.version(), 12);
        assert_eq!(migration.description(), "claim by pair");
    }
}
