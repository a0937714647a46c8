use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct Charge;

async fn application(bus: Bus) {
    let _ = bus.send(Charge).await;
}

fn main() {}
