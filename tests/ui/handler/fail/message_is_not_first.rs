use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

struct Mailer;

#[handler]
async fn place_order(_: State<Mailer>, _: PlaceOrder) {}

fn main() {}
