//! Takes articles from the stock.

use std::sync::PoisonError;

use anyhow::Context;
use jasper::{Reply, State, handler};
use shop_messages::{Left, Reserve, SoldOut};

use crate::Stock;

/// Takes articles from the stock.
///
/// # Errors
/// There are fewer of them.
#[handler]
pub async fn reserve(
    cmd: Reserve,
    stock: State<Stock>,
) -> anyhow::Result<(Reply<Left>, Option<SoldOut>)> {
    let mut stock = stock.0.lock().unwrap_or_else(PoisonError::into_inner);
    let left = stock.entry(cmd.sku.clone()).or_default();
    let rest = left.checked_sub(cmd.quantity);
    *left = rest.with_context(|| format!("only {left} of {} left", cmd.sku))?;
    let sold_out = (*left == 0).then_some(SoldOut { sku: cmd.sku });
    Ok((Reply(Left(*left)), sold_out))
}
