use jasper::prelude::*;
use serde::Deserialize;

#[derive(Command, Deserialize)]
struct PlaceOrder;

fn main() {}
