//! Calls a service that is not always there, from a durable local queue: the call is one that a
//! handler makes, so it is repeated by the handler's policy until it succeeds, also by the next
//! process if this one is killed.
//!
//! ```sh
//! cargo run -p external_system
//! ```
//!
//! It starts a warehouse that fails four calls of five, reports ten parcels to it, and says what
//! the warehouse has got. A call may come twice, as no database commits with it: the warehouse
//! recognises a repeat by the `Idempotency-Key`, which is the id of the message and stays the same.

mod warehouse;

use std::time::Duration;

use jasper::prelude::*;
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

use crate::warehouse::Warehouse;

const PARCELS: u32 = 10;

#[derive(Debug, Command, Serialize, Deserialize)]
#[command(name = "report-parcel", deliver_within = "1h")]
struct ReportParcel {
    parcel: u32,
}

/// Where the warehouse is, and how to speak to it.
struct WarehouseClient {
    http: Client,
    url: String,
}

/// Stored on this queue, whether or not the handler writes to the database.
#[handler(queue = "warehouse", concurrency = 2, attempts = 30, delays = ["50ms", "100ms", "200ms"])]
#[durable]
async fn report_parcel(
    cmd: ReportParcel,
    envelope: Envelope,
    warehouse: State<WarehouseClient>,
) -> Result<(), HandlerError> {
    let request = warehouse
        .http
        .post(format!("{}/parcels/{}", warehouse.url, cmd.parcel))
        .header("Idempotency-Key", envelope.id.to_string());
    let status = request.send().await?.status();
    match status {
        StatusCode::OK => Ok(()),
        // What the warehouse does not understand it will not understand the next time either.
        status if status.is_client_error() => {
            Err(HandlerError::terminal(HandlerError::new(format!("refused: {status}"))))
        }
        status => Err(HandlerError::new(format!("the warehouse says {status}"))),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let warehouse = Warehouse::open().await?;
    let http = Client::builder().timeout(Duration::from_secs(5)).build()?;
    let app = Jasper::builder()
        .service("shop")
        .store(SqliteStore::open("external_system.db").await?)
        .state(WarehouseClient { http, url: warehouse.url() })
        .start()
        .await?;
    for parcel in 1..=PARCELS {
        app.bus().send(ReportParcel { parcel }).await?;
    }
    let (calls, parcels) = warehouse.wait_for(PARCELS as usize).await;
    app.until_idle().await?;
    app.stop().await?;
    println!("calls that reached the warehouse   {calls:>5}");
    println!("parcels that it knows, each once   {parcels:>5}");
    Ok(())
}
