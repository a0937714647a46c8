use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(version = "2")]
struct PlaceOrder;

fn main() {}
