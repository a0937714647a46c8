//! All that a handler may return.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

use std::time::Duration;

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping")]
struct ShipOrder;

#[derive(Event, Serialize, Deserialize)]
struct Started;

#[handler]
async fn place_order(
    _: PlaceOrder,
) -> Result<(Option<OrderPlaced>, Vec<ShipOrder>, Delayed<Charge>, To<Charge>), std::io::Error> {
    Ok((
        Some(OrderPlaced),
        vec![ShipOrder],
        Charge.delayed(Duration::from_secs(60)),
        Charge.to("billing"),
    ))
}

#[handler]
async fn charge(_: Charge) -> Result<(), HandlerError> {
    Ok(())
}

#[handler]
async fn first(_: OrderPlaced) -> (Charge, Charge) {
    (Charge, Charge)
}

#[handler]
async fn second(_: OrderPlaced) -> With<Charge> {
    Charge.with(DeliveryOptions::new().group("orders"))
}

#[handler]
async fn started(_: Started) -> Option<PlaceOrder> {
    Some(PlaceOrder)
}
