use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler]
#[durable]
async fn place_order(_: PlaceOrder, _: &mut String) {}

fn main() {}
