use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler]
async fn place_order(_: PlaceOrder, _: Vec<String>) {}

fn main() {}
