//! Orders from a file, each handled once, however often the process is killed.
//!
//! `cargo run -p quickstart [FILE]` reads the orders beside this file, or another file, such
//! as `/dev/stdin`. It keeps its data in `quickstart.db` and "sends" e-mails to `quickstart.mail`.

mod handlers;
mod messages;

use std::{env, fs, fs::File};

use anyhow::Context;
use futures_util::future::try_join_all;
use indicatif::ProgressIterator;
use jasper::{Jasper, prelude::SqliteStore};

use crate::messages::PlaceOrder;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let store = SqliteStore::open("quickstart.db").await?;
    let mail = File::options().create(true).append(true).open("quickstart.mail")?;
    let app = Jasper::builder().store(store.clone()).state(mail).start().await?;
    sqlx::raw_sql(include_str!("schema.sql")).execute(store.pool()).await?;
    let file = env::args().nth(1).unwrap_or(ORDERS.into());
    let input = fs::read_to_string(&file).with_context(|| file.clone())?;
    let lines: Vec<_> = (1..).zip(input.lines()).collect();
    let mut malformed = 0;
    for some in lines.chunks(50).progress() {
        let orders = some.iter().filter_map(|(line, text)| {
            let order = serde_json::from_str::<PlaceOrder>(text).map_err(|_| malformed += 1);
            Some(app.bus().send(order.ok()?).deduplicate(format!("{line}: {text}")))
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

const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/orders.jsonl");
