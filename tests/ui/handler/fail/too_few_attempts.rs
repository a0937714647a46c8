use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler(attempts = 2, delays = ["10s", "1m"])]
async fn place_order(_: PlaceOrder) {}

fn main() {}
