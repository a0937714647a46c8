use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(to = "shipping")]
struct PlaceOrder;

fn main() {}
