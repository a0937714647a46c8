//! How sessions at the server are found again, by their own store and by that of another process.
//!
//! The number of a session is given again after the server has started anew, so that it alone names
//! none. Each session of a store therefore holds a named lock, which ends with it: who holds a lock
//! of that name is that session. A store has a fixed number of such names, so that another process
//! can look up what one has left: it has no more than what stands in the table of nodes.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, MySqlConnection, Row};
use uuid::Uuid;

use super::error;

/// The most names of which one statement asks.
const AT_ONCE: usize = 200;

/// No store has more names; a row that says so is none of ours.
const MOST: u32 = 100_000;

/// The names of the sessions of one store that is open.
#[derive(Debug)]
pub(super) struct Marks {
    token: String,
    names: u32,
    next: AtomicU32,
    unmarked: Once,
}

/// One session at the server.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) session: i64,
    /// The lock that it holds.
    pub(super) name: String,
}

impl Marks {
    /// For a store with this many sessions at once, and a reserve for those that end late.
    pub(super) fn new(sessions: u32) -> Self {
        Self {
            token: Uuid::now_v7().simple().to_string(),
            names: sessions.saturating_mul(4).min(MOST),
            next: AtomicU32::new(0),
            unmarked: Once::new(),
        }
    }

    /// What stands in the row of a node.
    pub(super) fn text(&self) -> String {
        format!("{}/{}", self.token, self.names)
    }

    /// Marks the session of this connection. `None`: the server gives no such locks.
    pub(super) async fn put_on(
        &self,
        connection: &mut MySqlConnection,
    ) -> sqlx::Result<Option<Mark>> {
        for _name in 0..self.names {
            let number = self.next.fetch_add(1, Ordering::Relaxed) % self.names;
            let name = name(&self.token, number);
            // Letters, digits and `/`.
            let lock = format!("select cast(connection_id() as signed), get_lock('{name}', 0)");
            let locked = sqlx::raw_sql(AssertSqlSafe(lock)).fetch_all(&mut *connection).await;
            let row = match locked {
                Ok(mut rows) => rows.pop().ok_or(sqlx::Error::RowNotFound)?,
                Err(refused) if error::is_of_statement(&refused) => break,
                Err(lost) => return Err(lost),
            };
            match row.try_get(1)? {
                Some(1_i64) => return Ok(Some(Mark { session: row.try_get(0)?, name })),
                // Of a session that is open, or that ends late.
                Some(_) => {}
                None => break,
            }
        }
        self.unmarked.call_once(|| {
            tracing::warn!(
                "the server gives no named lock, so that sessions of this process that hang are \
                 not found, and keep what they have locked until the server ends them"
            );
        });
        Ok(None)
    }
}

fn name(token: &str, number: u32) -> String {
    format!("jasper/{token}/{number}")
}

/// The names that the text in the row of a node stands for, as [`Marks::text`] wrote it.
fn names(text: &str) -> Vec<String> {
    let is_token = |token: &str| token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit());
    let (token, number) = text.split_once('/').unwrap_or_default();
    match number.parse() {
        Ok(most @ 1..=MOST) if is_token(token) => {
            (0..most).map(|number| name(token, number)).collect()
        }
        _ => Vec::new(),
    }
}

/// The session that holds this lock, if there is one.
pub(super) async fn holder(
    connection: &mut MySqlConnection,
    name: &str,
) -> sqlx::Result<Option<i64>> {
    // Letters, digits and `/`.
    let holder = AssertSqlSafe(format!("select cast(is_used_lock('{name}') as signed)"));
    sqlx::raw_sql(holder).fetch_one(connection).await?.try_get(0)
}

/// The sessions of the store that wrote this text into the row of its node.
pub(super) async fn sessions(
    connection: &mut MySqlConnection,
    text: &str,
) -> sqlx::Result<Vec<i64>> {
    let mut sessions = Vec::new();
    for names in names(text).chunks(AT_ONCE) {
        let holder = |name: &String| format!("cast(is_used_lock('{name}') as signed)");
        let holders: Vec<String> = names.iter().map(holder).collect();
        // Letters, digits and `/`.
        let select = AssertSqlSafe(format!("select {}", holders.join(", ")));
        for row in sqlx::raw_sql(select).fetch_all(&mut *connection).await? {
            for column in 0..row.len() {
                sessions.extend(row.try_get::<Option<i64>, _>(column)?);
            }
        }
    }
    Ok(sessions)
}

/// What is ended of a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kill {
    /// What it executes right now.
    Query,
    /// All of it; its transaction is rolled back.
    Connection,
}

/// Ends it, if it is there.
pub(super) async fn kill(
    connection: &mut MySqlConnection,
    what: Kill,
    session: i64,
) -> sqlx::Result<()> {
    let what = match what {
        Kill::Query => "query",
        Kill::Connection => "connection",
    };
    // Two words and a number.
    let kill = sqlx::raw_sql(AssertSqlSafe(format!("kill {what} {session}")));
    match kill.execute(connection).await {
        Err(error) if error::is_no_session(&error) => Ok(()),
        done => done.map(|_done| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_row_of_a_node_names_all_sessions_of_its_store() {
        let marks = Marks::new(40);
        let names = names(&marks.text());
        assert_eq!(names.len(), 160);
        assert!(names.iter().all(|name| name.len() <= 64 && name.contains(&marks.token)));
        assert!(marks.text().len() <= 64, "the column is no longer");
    }

    #[test]
    fn a_text_that_is_none_of_ours_names_no_session() {
        let token = "0".repeat(32);
        for text in ["", "x", "/1", "ab/1", &format!("{token}/0"), &format!("{token}/x")] {
            assert!(names(text).is_empty(), "{text}");
        }
        let injected = format!("'{}/1", &token[1..]);
        assert!(names(&injected).is_empty());
        assert!(names(&format!("{token}/4000000000")).is_empty());
    }
}
