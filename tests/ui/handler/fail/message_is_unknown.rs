use jasper::prelude::*;

#[handler]
async fn place_order(_: PlaceOrdr) {}

fn main() {}
