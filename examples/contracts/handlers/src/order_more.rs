//! Orders more of what is sold out.

use std::sync::PoisonError;

use jasper::{State, handler};
use shop_messages::SoldOut;

use crate::Stock;

/// Orders more of what is sold out.
#[handler]
pub async fn order_more(event: SoldOut, stock: State<Stock>) {
    println!("sold out, so ten more are ordered: {}", event.sku);
    let mut stock = stock.0.lock().unwrap_or_else(PoisonError::into_inner);
    *stock.entry(event.sku).or_default() += 10;
}
