use jasper::prelude::*;

#[handler]
struct PlaceOrder;

fn main() {}
