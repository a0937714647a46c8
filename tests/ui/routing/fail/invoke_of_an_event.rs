use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

async fn application(bus: Bus) {
    let _ = bus.invoke(OrderPlaced).await;
}

fn main() {}
