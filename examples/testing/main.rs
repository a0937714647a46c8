//! Runs the shop for one order, with its data in `small_shop.db`: `cargo run -p testing`.

use std::sync::Arc;

use jasper::prelude::SqliteStore;
use small_shop::{Mail, PlaceOrder, shop};

/// Prints what it is to send.
struct Printer;

impl Mail for Printer {
    fn send(&self, email: &str, text: &str) -> std::io::Result<()> {
        println!("to {email}: {text}");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let store = SqliteStore::open("small_shop.db").await?;
    let app = shop(store, Arc::new(Printer)).start().await?;
    app.bus().send(PlaceOrder { id: 1, email: "ada@example.org".to_owned() }).await?;
    app.until_idle().await?;
    Ok(app.stop().await?)
}
