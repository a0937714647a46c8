use jasper::handler::Handler;
use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[durable(share = 50)]
#[handler]
async fn place_order(_: PlaceOrder, _db: &mut SqliteConnection) {}

fn main() {
    assert_eq!(place_order::REGISTRATION.share, Some(50));
}
