use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Event, Serialize, Deserialize)]
struct PlaceOrder;

fn main() {}
