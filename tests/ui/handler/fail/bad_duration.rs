use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler(timeout = "30 seconds")]
async fn place_order(_: PlaceOrder) {}

fn main() {}
