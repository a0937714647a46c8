use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(to = "local://Ship Orders")]
struct PlaceOrder;

fn main() {}
