use jasper::prelude::*;
use jasper::Message;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

#[handler]
async fn place_order(_: PlaceOrder) -> Result<impl Message, HandlerError> {
    Ok(OrderPlaced)
}

fn main() {}
