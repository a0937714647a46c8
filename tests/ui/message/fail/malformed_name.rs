use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "Orders.PlaceOrder")]
struct PlaceOrder;

fn main() {}
