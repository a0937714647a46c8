use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "Place Order", version = 0, colour = "red")]
struct PlaceOrder;

fn main() {}
