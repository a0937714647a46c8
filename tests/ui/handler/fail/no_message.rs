use jasper::prelude::*;

#[handler]
async fn place_order() {}

fn main() {}
