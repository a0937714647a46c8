use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[handler]
async fn charge_by_card(_: Charge) {}

#[handler]
async fn charge_by_invoice(_: Charge) {}

async fn application(bus: Bus) {
    let _ = bus.send(Charge).await;
}

fn main() {}
