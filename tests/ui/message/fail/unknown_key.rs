use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(nam = "place-order")]
struct PlaceOrder;

fn main() {}
