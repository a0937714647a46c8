use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(version = 2, version = 3)]
struct PlaceOrder;

fn main() {}
