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

/// Whether the handler stays in its transaction for good once it has locked the row, and says so.
pub struct Manner {
    pub stays: bool,
}

#[handler(queue = "book", attempts = 3)]
#[durable]
pub async fn book(cmd: Book, db: &mut PgConnection, manner: State<Manner>) -> sqlx::Result<()> {
    let booking = query("update accounts set balance = balance + 1 where id = $1 % 20");
    booking.bind(cmd.id).execute(&mut *db).await?;
    query("insert into effects values ($1)").bind(cmd.id).execute(db).await?;
    if manner.stays {
        println!("holds {}", cmd.id);
        std::future::pending::<()>().await;
    }
    Ok(())
}
