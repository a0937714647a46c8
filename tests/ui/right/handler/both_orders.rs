//! `#[handler]` and `#[durable]` may stand in either order, with a path or without.

use jasper::handler::HandlerRegistration;
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

pub(crate) fn main() {
    let place_order = HandlerRegistration::of(place_order).expect("it is a handler");
    let charge = HandlerRegistration::of(charge).expect("it is a handler");
    assert!(place_order.durable && charge.durable);
    assert_eq!((charge.queue, place_order.queue), ("charges", "place_order"));
}
