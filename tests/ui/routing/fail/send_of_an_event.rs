use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

async fn application(bus: Bus) {
    let _ = bus.send(OrderPlaced).await;
}

fn main() {}
