//! A command whose handler locks a row, and may stay in its transaction.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, query};

/// Books on one of twenty accounts.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "sessions.book")]
pub struct Book {
    pub id: i64,
}

/// What a handler does once it has locked the row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It ends.
    End,
    /// It says so, and goes on only when its process does.
    Hold,
}

#[handler(queue = "book", attempts = 3)]
#[durable]
pub async fn book(cmd: Book, db: &mut PgConnection, then: State<Then>) -> sqlx::Result<()> {
    let booking = query("update accounts set balance = balance + 1 where id = $1 % 20");
    booking.bind(cmd.id).execute(&mut *db).await?;
    query("insert into effects values ($1)").bind(cmd.id).execute(db).await?;
    if *then == Then::Hold {
        println!("holds {}", cmd.id);
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// The tables of the handler.
pub const SCHEMA: &str = "\
create table accounts (id bigint primary key, balance bigint not null);
insert into accounts select id, 0 from generate_series(0, 19) id;
create table effects (id bigint not null)";
