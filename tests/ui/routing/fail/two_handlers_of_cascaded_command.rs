use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[handler]
async fn charge_by_card(_: Charge) {}

#[handler]
async fn charge_by_invoice(_: Charge) {}

#[handler]
async fn place_order(_: PlaceOrder) -> Result<Charge, HandlerError> {
    Ok(Charge)
}

fn main() {}
