use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(to = "Shipping")]
struct PlaceOrder;

fn main() {}
