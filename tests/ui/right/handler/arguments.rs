//! Arguments in any order after the message, with attributes and patterns of their own.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]
#![warn(clippy::pedantic)]
#![allow(clippy::unused_async, reason = "the handler here has nothing to wait for")]

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

struct Connection;
impl jasper::store::Connection for Connection {}

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder {
    sku: String,
}

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

struct Mailer;

#[handler(queue = "orders", concurrency = 4, attempts = 5, delays = ["10s", "1m"], timeout = "30s")]
#[durable]
async fn place_order(
    PlaceOrder { mut sku }: PlaceOrder,
    #[allow(unused_variables)] db: &mut Connection,
    _mailer: State<Mailer>,
    mut _bus: Bus,
    _: Envelope,
    cancelled: CancellationToken,
) -> Result<OrderPlaced, HandlerError> {
    sku.push('!');
    if cancelled.is_cancelled() {
        return Err(HandlerError::new("stopping"));
    }
    Ok(OrderPlaced)
}
