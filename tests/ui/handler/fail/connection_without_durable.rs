use jasper::prelude::*;
use serde::{Deserialize, Serialize};

struct Connection;
impl jasper::store::Connection for Connection {}

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler]
async fn place_order(_: PlaceOrder, _: &mut Connection) {}

fn main() {}
