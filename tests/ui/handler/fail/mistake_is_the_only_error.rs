use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler(attempts = 0)]
async fn place_order(_: PlaceOrder) {}

async fn application(bus: Bus) {
    let _ = bus.send(PlaceOrder).await;
}

fn main() {}
