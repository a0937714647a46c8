//! A handler stays the function that it was: a test calls it without jasper.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
pub struct PlaceOrder;

#[derive(Event, Serialize, Deserialize)]
pub struct OrderPlaced;

#[handler]
pub async fn place_order(
    _: PlaceOrder,
    greeting: State<String>,
) -> (OrderPlaced, Option<OrderPlaced>) {
    assert_eq!(greeting.as_str(), "hello");
    (OrderPlaced, None)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    let (_, second) = place_order(PlaceOrder, State::from("hello".to_owned())).await;
    assert!(second.is_none());
}
