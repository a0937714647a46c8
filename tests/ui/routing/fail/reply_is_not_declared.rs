use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler]
async fn place_order(_: PlaceOrder) -> Reply<u32> {
    Reply(1)
}

fn main() {}
