use jasper::prelude::*;
use serde::Serialize;

#[derive(Command, Serialize)]
struct PlaceOrder;

fn main() {}
