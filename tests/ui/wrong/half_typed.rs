//! Code as it stands while it is typed. The compiler's own words say what is missing.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct Run;

#[handler]
async fn run(_: Run, prices) {}

async fn call(bus: Bus) {
    let _ = bus.send(Run).await;
}

fn main() {}
