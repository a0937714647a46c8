use jasper::prelude::*;
use serde::{Deserialize, Serialize};

use std::time::Duration;

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

#[handler]
async fn place_order(_: PlaceOrder) -> Delayed<Charge> {
    Charge.delayed(Duration::from_secs(60))
}

fn main() {}
