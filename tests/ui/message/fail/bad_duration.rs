use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(deliver_within = "soon")]
struct PlaceOrder;

fn main() {}
