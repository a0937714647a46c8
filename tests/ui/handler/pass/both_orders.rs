//! `#[handler]` and `#[durable]` may stand in either order, with a path or without.

#![allow(clippy::assertions_on_constants, reason = "what the macro has made constant is checked")]

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

struct Connection;
impl jasper::store::Connection for Connection {}

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Command, Serialize, Deserialize)]
struct Charge;

#[handler]
#[durable]
async fn place_order(_: PlaceOrder, _: &mut Connection) {}

#[jasper::durable]
/// Documented between the two.
#[jasper::handler(queue = "charges")]
async fn charge(_: Charge, _: &mut Connection) {}

fn main() {
    use jasper::handler::Handler;
    assert!(<place_order as Handler>::REGISTRATION.durable);
    assert!(<charge as Handler>::REGISTRATION.durable);
    assert_eq!(<charge as Handler>::REGISTRATION.queue, "charges");
    assert_eq!(<place_order as Handler>::REGISTRATION.queue, "place_order");
}
