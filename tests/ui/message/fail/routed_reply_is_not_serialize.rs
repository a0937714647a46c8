use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Receipt;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping", reply = Receipt)]
struct ShipOrder;

#[handler]
async fn ship_order(_: ShipOrder) -> Reply<Receipt> {
    Reply(Receipt)
}

async fn application(bus: Bus) {
    let _ = bus.invoke(ShipOrder).await;
}

fn main() {}
