use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler]
#[durable(batch = 50)]
async fn place_order(_: PlaceOrder) {}

fn main() {}
