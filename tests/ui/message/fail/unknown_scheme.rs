use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(to = "http://shipping:80")]
struct PlaceOrder;

fn main() {}
