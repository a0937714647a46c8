//! A write with its caller, whatever its type.

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;

use super::super::error::Place;
use super::write::Write;
use crate::store::StoreError;
use crate::store::sql::reply::{ReplySender, send_reply};

/// A [`Write`] of any type, with the one who waits for it.
pub(in super::super) trait ErasedWrite: Send {
    fn is_abandoned(&self) -> bool;
    fn is_one_statement(&self) -> bool;

    /// Does it, and keeps what it gives until the commit.
    fn run<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// It is committed.
    fn confirm(self: Box<Self>);

    fn refuse(self: Box<Self>, error: StoreError);
}

pub(super) struct WriteJob<W: Write> {
    pub(super) write: W,
    pub(super) reply: ReplySender<W::Output>,
    pub(super) place: Place,
    pub(super) output: Option<W::Output>,
}

impl<W: Write> ErasedWrite for WriteJob<W> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_one_statement(&self) -> bool {
        self.write.is_one_statement()
    }

    fn run<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let output = self.write.run(connection).await;
            self.output = Some(output.map_err(|error| self.place.error(error))?);
            Ok(())
        })
    }

    fn confirm(self: Box<Self>) {
        // What was not run is not confirmed.
        send_reply(self.reply, self.output.ok_or(StoreError::Closed));
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        send_reply(self.reply, Err(error));
    }
}
