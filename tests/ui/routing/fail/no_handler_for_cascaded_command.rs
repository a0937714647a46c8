use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

#[handler]
async fn place_order(_: PlaceOrder) -> Charge {
    Charge
}

fn main() {}
