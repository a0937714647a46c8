use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping")]
struct ShipOrder;

async fn application(bus: Bus) {
    let _ = bus.invoke(ShipOrder).await;
}

fn main() {}
