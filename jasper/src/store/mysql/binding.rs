//! Binds what several statements take.

use sqlx::mysql::MySqlArguments;
use sqlx::{Arguments, Encode, MySql, Type};

use crate::envelope::time::to_micros;
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::Ownership;

/// Binds the columns that are there for queries.
pub(super) fn bind_columns(
    envelope: &Envelope,
    arguments: &mut MySqlArguments,
) -> sqlx::Result<()> {
    bind(arguments, envelope.group_id.as_deref())?;
    bind(arguments, envelope.tenant_id.as_deref())?;
    bind(arguments, envelope.correlation_id.as_deref())?;
    bind(arguments, to_micros(envelope.sent_at))
}

/// Binds `id = ? and destination = ?`.
pub(super) fn bind_key(
    id: MessageId,
    destination: &Address,
    arguments: &mut MySqlArguments,
) -> sqlx::Result<()> {
    bind(arguments, &id.as_uuid().as_bytes()[..])?;
    bind(arguments, destination.as_str())
}

/// Binds `id = ? and destination = ? and owner = ? and attempts = ?`.
pub(super) fn bind_ownership(row: &Ownership, arguments: &mut MySqlArguments) -> sqlx::Result<()> {
    bind_key(row.id, &row.destination, arguments)?;
    bind(arguments, row.owner.number())?;
    bind(arguments, i64::from(row.attempts))
}

/// Binds the next argument.
pub(super) fn bind<'t, T>(arguments: &mut MySqlArguments, value: T) -> sqlx::Result<()>
where
    T: Encode<'t, MySql> + Type<MySql>,
{
    arguments.add(value).map_err(sqlx::Error::Encode)
}
