use jasper::prelude::*;
use serde::{Deserialize, Serialize};

use std::rc::Rc;

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler]
async fn place_order(_: PlaceOrder) {
    let count = Rc::new(1);
    tokio::task::yield_now().await;
    drop(count);
}

fn main() {}
