use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler(queue = "My Queue")]
async fn place_order(_: PlaceOrder) {}

fn main() {}
