use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(to = "tcp://shipping")]
struct PlaceOrder;

fn main() {}
