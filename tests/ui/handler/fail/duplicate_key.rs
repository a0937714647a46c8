use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler(queue = "a", queue = "b")]
async fn place_order(_: PlaceOrder) {}

fn main() {}
