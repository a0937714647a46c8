//! Orders from a file, each handled once, however often the process is killed.
//!
//! `cargo run --example quickstart [FILE]` reads the orders beside this file, or another file, such
//! as `/dev/stdin`. It keeps its data in `quickstart.db` and "sends" e-mails to `quickstart.mail`.

use std::{env, error::Error, fs, fs::File, io::Write};

use futures_util::future::try_join_all;
use indicatif::ProgressIterator;
use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection as Db;

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder {
    order_id: String,
    sku: String,
    quantity: u32,
    email: String,
}

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced {
    order_id: String,
    email: String,
}

#[handler]
#[durable]
async fn place_order(cmd: PlaceOrder, db: &mut Db) -> sqlx::Result<Option<OrderPlaced>> {
    let PlaceOrder { order_id, email, .. } = cmd;
    let place = sqlx::query_scalar(include_str!("place_order.sql"));
    let place = place.bind(&order_id).bind(cmd.sku).bind(cmd.quantity);
    let placed: bool = place.fetch_one(db).await?;
    Ok(placed.then_some(OrderPlaced { order_id, email }))
}

#[handler(queue = "emails")]
#[durable]
async fn send_email(e: OrderPlaced, db: &mut Db, mail: State<File>) -> Result<(), HandlerError> {
    if !e.email.contains('@') {
        return Err(HandlerError::terminal(HandlerError::new("no e-mail address")));
    }
    writeln!(&*mail, "{}", e.order_id)?; // outside of the database: at least once
    let email = sqlx::query("insert into emails values (?, ?)"); // inside of it: once
    email.bind(e.order_id).bind(e.email).execute(db).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open("quickstart.db").await?;
    let mail = File::options().create(true).append(true).open("quickstart.mail")?;
    let app = Jasper::builder().store(store.clone()).state(mail).start().await?;
    sqlx::raw_sql(include_str!("schema.sql")).execute(store.pool()).await?;
    let file = env::args().nth(1).unwrap_or(ORDERS.into());
    let input = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let lines: Vec<_> = (1..).zip(input.lines()).collect();
    let mut malformed = 0;
    for some in lines.chunks(50).progress() {
        let orders = some.iter().filter_map(|(line, text)| {
            let order = serde_json::from_str::<PlaceOrder>(text).map_err(|_| malformed += 1);
            Some(app.bus().send(order.ok()?).deduplicate(format!("{line}: {text}")).into_future())
        });
        try_join_all(orders.collect::<Vec<_>>()).await?;
    }
    app.until_idle().await?;
    println!("{:<28}{:>6}\n{:<28}{malformed:>6}", "received", lines.len(), "refused: not an order");
    let summary = sqlx::query_as::<_, (String, i64)>("select * from summary");
    for (what, count) in summary.fetch_all(store.pool()).await? {
        println!("{what:<28}{count:>6}");
    }
    Ok(app.stop().await?)
}

const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/quickstart/orders.jsonl");
