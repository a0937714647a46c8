//! Stores an order.

use jasper::{durable, handler};
use sqlx::SqliteConnection;

use crate::messages::{OrderPlaced, PlaceOrder};

#[handler]
#[durable]
async fn place_order(
    cmd: PlaceOrder,
    db: &mut SqliteConnection,
) -> anyhow::Result<Option<OrderPlaced>> {
    let PlaceOrder { order_id, email, .. } = cmd;
    let place = sqlx::query_scalar(include_str!("place_order.sql"))
        .bind(&order_id)
        .bind(cmd.sku)
        .bind(cmd.quantity);
    let placed: bool = place.fetch_one(db).await?;
    Ok(placed.then_some(OrderPlaced { order_id, email }))
}
