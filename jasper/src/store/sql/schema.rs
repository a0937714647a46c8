//! What is asked of a schema beside its upgrade: whether it is there.

use super::migrations::{Schema, version};
use crate::store::StoreError;

/// Whether a schema is there that this build may use, without any step that is missing.
///
/// # Errors
/// It is not, or the database fails.
pub(crate) async fn check(schema: &mut impl Schema, known: i64) -> Result<(), StoreError> {
    let found = version(schema, known).await?;
    if found < known {
        return Err(StoreError::OutdatedSchema { place: schema.place(), found, needed: known });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::migrations::Question;
    use super::*;

    /// A schema of this version.
    struct Found(i64);

    impl Schema for Found {
        async fn ask(&mut self, question: Question) -> Result<i64, StoreError> {
            Ok(match question {
                Question::HasVersions => 1,
                Question::NewestVersion => self.0,
                Question::UsableFrom => 1,
            })
        }

        fn place(&self) -> String {
            "shop".to_owned()
        }
    }

    #[tokio::test]
    async fn a_schema_that_lacks_a_step_is_refused_and_a_newer_one_is_not() {
        check(&mut Found(3), 3).await.unwrap();
        check(&mut Found(4), 3).await.unwrap();
        let refused = check(&mut Found(2), 3).await.unwrap_err();
        assert!(matches!(refused, StoreError::OutdatedSchema { found: 2, needed: 3, .. }));
        let refused = refused.to_string();
        assert!(refused.starts_with("`shop` has schema version 2, and this build needs version 3"));
    }
}
