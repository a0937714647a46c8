use jasper::prelude::*;
use serde::{Deserialize, Serialize};

struct Receipt;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping", reply = Receipt)]
struct ShipOrder;

#[handler]
async fn ship_order(_: ShipOrder) -> Reply<Receipt> {
    Reply(Receipt)
}

fn main() {}
