use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler(queue = "My Queue", retries = 3)]
fn place_order(_: PlaceOrder, _: &mut String) {}

fn main() {}
