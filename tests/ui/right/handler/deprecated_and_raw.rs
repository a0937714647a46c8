//! Lints on the function, and names that are keywords.

#![deny(warnings)]
#![allow(non_snake_case)]

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced;

#[deprecated]
#[handler]
async fn r#type(_: PlaceOrder) {}

#[handler]
#[deprecated]
async fn Another(_: OrderPlaced) {}

pub(crate) fn main() {
    #[expect(deprecated, reason = "the name is that of the function")]
    let registration = jasper::handler::HandlerRegistration::of(r#type);
    assert_eq!(registration.map(|it| it.name), Some("type"));
}
