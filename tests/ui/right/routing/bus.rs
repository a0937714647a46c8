//! All that a bus can be given.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[derive(Command, Serialize, Deserialize)]
#[command(reply = u32)]
struct Count;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping")]
struct ShipOrder;

#[handler]
async fn count(_: Count) -> Result<(Reply<u32>, OrderPlaced), HandlerError> {
    Ok((Reply(1), OrderPlaced))
}

#[handler]
async fn charge(_: Charge) {}

async fn application(bus: Bus) -> Result<u32, Box<dyn std::error::Error>> {
    bus.send(Charge).await?;
    bus.send(Count).await?;
    bus.send(ShipOrder).await?;
    bus.publish(OrderPlaced).await?;
    bus.invoke(Charge).await?;
    Ok(bus.invoke(Count).await?)
}

pub(crate) fn main() {
    fn is_send<T: Send>(_: impl FnOnce(Bus) -> T) {}
    is_send(application);
}
