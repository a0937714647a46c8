use jasper::prelude::*;

#[derive(Command)]
struct PlaceOrder;

fn main() {}
