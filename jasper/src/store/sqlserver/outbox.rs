//! The outbox in SQL Server.

use std::sync::Arc;

use super::connection::SqlServerConnection;
use super::error::Result;
use super::inbox::{Asked, Claiming, in_order};
use super::internal_pool::Work;
use super::parameters::{HeldParameter, json};
use super::settlement::{Settle, dead_letter, dead_letters};
use super::sql::{Sql, statements};
use super::statement_size::StatementSize;
use super::store::SqlServerStore;
use crate::envelope::{Address, Envelope};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::sql::columns::{self, ClaimedOutgoing};
use crate::store::sql::ports::messages::{OutgoingClaim, SqlOutbox};
use crate::store::{OutgoingSettlement, Ownership, StoreError};

// As the inbox does it.
const CLAIM: &str = "\
update {outgoing} with (rowlock) set owner = @P1, attempts = case
    when jasper_outgoing.attempts > 4294967295 then 4294967295 else jasper_outgoing.attempts end
output inserted.id, inserted.destination, inserted.attempts, inserted.body, inserted.sent_at
from (
    select found.id, found.destination, sum(found.bytes) over (
        order by found.sent_at, found.id rows unbounded preceding
    ) - found.bytes as bytes_before
    from (
        select top (@P3) id, destination, sent_at, cast(datalength(body) as bigint) as bytes
        from {outgoing} with (updlock, readpast, rowlock)
        where owner = 0 and destination = @P2
        order by sent_at, id
    ) found
) oldest
where oldest.bytes_before < {portion} and jasper_outgoing.owner = 0
    and jasper_outgoing.id = oldest.id and jasper_outgoing.destination = oldest.destination
{by_key}";

const CLAIMABLE: &str = "\
select top (1) 1 from {outgoing} with (readcommittedlock, readpast)
where owner = 0 and destination = @P1";

const RELEASE: &str = "\
update {outgoing} with (rowlock) set owner = 0
from (
    select top (@P1) id, destination from {outgoing} with (updlock, readpast, rowlock)
    where owner > 0 and owner = @P2
) held
where jasper_outgoing.id = held.id and jasper_outgoing.destination = held.destination
    and jasper_outgoing.owner = @P2
{by_key}";

const OWNED: &str = "\
select top (@P1) id, destination, attempts from {outgoing} with (readcommittedlock, readpast)
where owner > 0 and owner = @P2";

const DELETE: &str = "\
delete from {outgoing} with (rowlock)
output deleted.id, deleted.destination
from {asked}
where {held_outgoing} and jasper_outgoing.attempts = asked.attempts
{by_key};
";

const FAILED: &str = "\
update {outgoing} with (rowlock) set owner = 0, attempts = jasper_outgoing.attempts + 1
output inserted.id, inserted.destination
from {asked}
where {held_outgoing} and jasper_outgoing.attempts = asked.attempts
{by_key};
";

const FREE: &str = "\
update {outgoing} with (rowlock) set owner = 0
output inserted.id, inserted.destination
from {asked}
where {held_outgoing} and jasper_outgoing.attempts = asked.attempts
{by_key};
";

/// One step to the next destination for each, so that a long queue costs no more than a short one.
const DESTINATIONS: &str = "\
declare @found table (destination nvarchar(255) {bytes} not null);
declare @at nvarchar(255) = '', @next nvarchar(255);
while 1 = 1
begin
    set @next = null;
    select top (1) @next = destination from {outgoing} with (readcommittedlock, readpast)
    where owner = 0 and destination > @at
    order by destination;
    if @next is null break;
    set @at = @next;
    insert into @found (destination) values (@at);
end;
select destination from @found";

statements!(OutboxSql {
    claim: CLAIM,
    claimable: CLAIMABLE,
    release: RELEASE,
    owned: OWNED,
    delete: DELETE,
    failed: FAILED,
    free: FREE,
    dead_letters: dead_letters("outgoing", "null", ""),
    dead_letter: dead_letter("outgoing", "null", ""),
    destinations: DESTINATIONS,
});

impl SqlOutbox for SqlServerStore {
    async fn claim(&self, request: OutgoingClaim) -> Result<Vec<Envelope>, StoreError> {
        let size = Arc::clone(&self.shared.claims.outgoing);
        let ClaimedOutgoing { envelopes, unreadable } =
            self.internal_pool().give(Claim { request, size }).await?;
        if !unreadable.is_empty() {
            // Until then they are this owner's, and found as such.
            self.internal_pool().give(KeepUnreadable(unreadable)).await?;
        }
        Ok(envelopes)
    }

    async fn destinations(&self) -> Result<Vec<Address>, StoreError> {
        self.internal_pool().give(Destinations).await
    }
}

struct Destinations;

impl Work for Destinations {
    type Output = Vec<Address>;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Vec<Address>> {
        let rows = connection.rows(&sql.outbox.destinations, &[]).await?;
        columns::all(&rows, |row| columns::address(row, 0))
    }
}

struct Claim {
    request: OutgoingClaim,
    size: Arc<StatementSize>,
}

impl Work for Claim {
    type Output = ClaimedOutgoing;

    async fn run(
        &self,
        connection: &mut SqlServerConnection,
        sql: &Sql,
    ) -> Result<ClaimedOutgoing> {
        let Self { request: OutgoingClaim { owner, destination, limit }, size } = self;
        let (number, destination) = (owner.number(), destination.as_str());
        let claiming = Claiming {
            claim: Asked { statement: &sql.outbox.claim, parameters: &[&number, &destination] },
            claimable: Asked { statement: &sql.outbox.claimable, parameters: &[&destination] },
            size,
        };
        let mut rows = claiming.rows(connection, *limit).await?;
        in_order(&mut rows, 4)?;
        let mut claimed = ClaimedOutgoing::default();
        for row in &rows {
            claimed.read(row, *owner)?;
        }
        Ok(claimed)
    }
}

/// Rows that cannot be read, and so cannot be sent, as dead letters.
struct KeepUnreadable(Vec<(Ownership, String)>);

impl Work for KeepUnreadable {
    type Output = ();

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<()> {
        let letters = self.0.iter().map(|(held, error)| {
            HeldParameter::with_cause(held, &DeadLetterCause::of_unreadable(held, error))
        });
        let letters = json(&letters.collect::<Vec<_>>());
        let statement =
            ["begin transaction; ", &sql.outbox.dead_letters, " commit transaction"].concat();
        connection.rows(&statement, &[&letters]).await?;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutgoingKind {
    Delete,
    Failed,
    Released,
    DeadLetter,
}

impl Settle for OutgoingSettlement {
    type Kind = OutgoingKind;

    const KINDS: &'static [OutgoingKind] = &[
        OutgoingKind::Delete,
        OutgoingKind::Failed,
        OutgoingKind::Released,
        OutgoingKind::DeadLetter,
    ];

    fn kind(&self) -> OutgoingKind {
        match self {
            Self::Sent(_) | Self::Discarded(_) => OutgoingKind::Delete,
            Self::Failed(_) => OutgoingKind::Failed,
            Self::Released(_) => OutgoingKind::Released,
            Self::Refused { .. } => OutgoingKind::DeadLetter,
        }
    }

    fn ownership(&self) -> &Ownership {
        self.ownership()
    }

    fn statement(kind: OutgoingKind, sql: &Sql) -> &str {
        match kind {
            OutgoingKind::Delete => &sql.outbox.delete,
            OutgoingKind::Failed => &sql.outbox.failed,
            OutgoingKind::Released => &sql.outbox.free,
            OutgoingKind::DeadLetter => &sql.outbox.dead_letters,
        }
    }

    fn letter_statement(kind: OutgoingKind, sql: &Sql) -> Option<&str> {
        (kind == OutgoingKind::DeadLetter).then_some(&sql.outbox.dead_letter)
    }

    fn parameter(&self) -> HeldParameter<'_> {
        match self.cause() {
            Some(cause) => HeldParameter::with_cause(self.ownership(), &cause),
            None => HeldParameter::new(self.ownership()),
        }
    }
}
