//! One connection of the store, and what is set for its session at the server.

use std::time::Duration;

use super::connection::{LONGEST, SqlServerConnection, lock_patience};
use super::error::Result;
use super::server::Server;
use super::sessions;
use crate::store::sql::columns::Columns;

/// For how long a session is opened at most, by whichever call asked for it first.
const OPENING: Duration = LONGEST;

/// What indexes for some rows need, whatever the login's defaults are.
const OPTIONS: &str = "\
set ansi_nulls, ansi_padding, ansi_warnings, arithabort, concat_null_yields_null, \
quoted_identifier on; set numeric_roundabort off; set nocount off; \
set transaction isolation level read committed; ";

/// Every error undoes all of a batch.
const ALL_OR_NOTHING: &str = "set xact_abort on; ";

// Two transactions, one in the other. A `commit` within the handler ends the inner one and so
// commits nothing; the completion finds out that it is missing. Once both are undone, by a
// `rollback` or a deadlock, the next statement opens another one, which the completion finds, and
// undoes.
const BEGIN: &str = "\
set implicit_transactions off; set xact_abort off; set lock_timeout -1; \
set transaction isolation level read committed; \
begin transaction; begin transaction; set implicit_transactions on";

/// What handlers are known to change, without what [`BEGIN`] sets each time: of the options those
/// are implicit transactions (2) and `xact_abort` (16384), which the completion sets too. What
/// handlers leave besides, such as temporary tables, is seen by whatever runs on the connection
/// later.
const SETTINGS: &str = "select cast(@@options & ~(2 | 16384) as bigint), db_name()";

const ROLLBACK: &str = "if @@trancount > 0 rollback transaction";

/// For what a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionPurpose {
    /// For runs of handlers.
    Runs,
    /// For the user, with the driver's settings.
    Users,
    /// For the store's own statements.
    Internal,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: SqlServerConnection,
    /// Its name at the server, which no other session has.
    pub(super) name: String,
    /// As they are while a handler's transaction is open that has changed none.
    settings: Option<Settings>,
}

#[derive(Debug, PartialEq, Eq)]
struct Settings(i64, String);

impl Session {
    pub(super) async fn open(server: &Server, purpose: SessionPurpose) -> Result<Self> {
        let (mut connection, name) = server.connect_within(OPENING).await?;
        connection.answer_within(Some(OPENING));
        match purpose {
            SessionPurpose::Runs => connection.batch(OPTIONS).await?,
            SessionPurpose::Users => Vec::new(),
            SessionPurpose::Internal => connection.batch(&internal(server.limit())).await?,
        };
        sessions::hold(&mut connection, &name).await?;
        connection.answer_within(None);
        Ok(Self { connection, name, settings: None })
    }

    /// Begins the transaction of a handler.
    pub(super) async fn begin(&mut self) -> Result<()> {
        if self.settings.is_some() {
            self.connection.batch(BEGIN).await?;
            return Ok(());
        }
        let settings = self.connection.batch(&format!("{BEGIN}; {SETTINGS}")).await?;
        self.settings = settings.last().map(Settings::read).transpose()?;
        Ok(())
    }

    /// Whether another run may have the session, after a commit: the handler has left its settings.
    pub(super) async fn is_as_before(&mut self) -> Result<bool> {
        let now = self.connection.batch(SETTINGS).await?;
        Ok(now.last().map(Settings::read).transpose()? == self.settings)
    }

    /// Asks the server to give up what it was asked last, and undoes what is open.
    pub(super) async fn give_up(&mut self) -> Result<()> {
        self.connection.cancel_query().await?;
        self.roll_back().await
    }

    /// The same. Says whether another piece of work may have the session.
    pub(super) async fn calm(&mut self) -> Result<bool> {
        self.give_up().await?;
        Ok(self.settings.is_none() || self.is_as_before().await?)
    }

    pub(super) async fn roll_back(&mut self) -> Result<()> {
        self.connection.batch(ROLLBACK).await?;
        Ok(())
    }
}

impl Settings {
    fn read(row: &tiberius::Row) -> Result<Self> {
        Ok(Self(row.number(0)?, row.text(1)?.into_owned()))
    }
}

fn internal(limit: Duration) -> String {
    format!("{OPTIONS}{ALL_OR_NOTHING}set lock_timeout {}", lock_patience(limit).as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlserver::user_transaction;

    #[test]
    fn all_that_sets_up_and_ends_a_session_is_as_it_was_reviewed() {
        let internal = internal(Duration::from_secs(5));
        let texts = [OPTIONS, &internal, BEGIN, SETTINGS, ROLLBACK];
        let texts = texts.into_iter().chain(sessions::TEXTS).chain(user_transaction::TEXTS);
        insta::assert_snapshot!(texts.collect::<Vec<_>>().join("\n----\n"));
    }
}
