use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

struct Mailer;

#[handler]
async fn place_order(_: PlaceOrder, _: &State<Mailer>) {}

fn main() {}
