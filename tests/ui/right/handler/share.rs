use jasper::handler::HandlerRegistration;
use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[durable(share = 50)]
#[handler]
async fn place_order(_: PlaceOrder, _db: &mut SqliteConnection) {}

pub(crate) fn main() {
    let share = HandlerRegistration::of(place_order).and_then(|handler| handler.share);
    assert_eq!(share, Some(50));
}
