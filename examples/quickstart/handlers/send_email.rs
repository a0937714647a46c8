//! Writes to the customer.

use std::fs::File;
use std::io::Write;

use jasper::{HandlerError, State, durable, handler};
use sqlx::SqliteConnection;

use crate::messages::OrderPlaced;

#[handler(queue = "emails")]
#[durable]
async fn send_email(
    event: OrderPlaced,
    db: &mut SqliteConnection,
    mail: State<File>,
) -> Result<(), HandlerError> {
    if !event.email.contains('@') {
        return Err(HandlerError::terminal("no e-mail address"));
    }
    writeln!(&*mail, "{}", event.order_id)?; // outside of the database: at least once
    let email = sqlx::query("insert into emails values (?, ?)"); // inside of it: once
    email.bind(event.order_id).bind(event.email).execute(db).await?;
    Ok(())
}
