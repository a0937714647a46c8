use jasper::prelude::*;
use serde::Deserialize;

#[derive(Command, Deserialize)]
struct PlaceOrder;

#[handler]
async fn place_order(_: PlaceOrder) {}

fn main() {}
