use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[handler]
async fn place_order(_: PlaceOrder, _: Charge) {}

fn main() {}
