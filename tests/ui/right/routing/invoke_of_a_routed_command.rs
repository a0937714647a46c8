//! A command with `to` is invoked as any other; its handler need not be in this program.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping")]
struct ShipOrder;

#[derive(Serialize, Deserialize)]
struct Receipt {
    number: u64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(to = "durable://127.0.0.1:5580", reply = Receipt)]
struct Charge;

async fn application(bus: Bus) -> Result<u64, jasper::InvokeError> {
    let () = bus.invoke(ShipOrder).await?;
    let receipt = bus.invoke(Charge).await?;
    Ok(receipt.number)
}

pub(crate) fn main() {
    fn is_send<T: Send>(_: impl FnOnce(Bus) -> T) {}
    is_send(application);
}
