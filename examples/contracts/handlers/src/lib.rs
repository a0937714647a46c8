//! What the shop does. The messages come from another crate; so does the program that runs this.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jasper::{HandlerError, Reply, State, handler};
use shop_messages::{Left, Reserve, SoldOut};

/// How many of each article there are.
#[derive(Debug, Default)]
pub struct Stock(pub Mutex<HashMap<String, u32>>);

/// Takes articles from the stock.
///
/// # Errors
/// There are fewer of them.
#[handler]
pub async fn reserve(
    cmd: Reserve,
    stock: State<Stock>,
) -> Result<(Reply<Left>, Option<SoldOut>), HandlerError> {
    let mut stock = stock.0.lock().unwrap_or_else(PoisonError::into_inner);
    let left = stock.entry(cmd.sku.clone()).or_default();
    let rest = left.checked_sub(cmd.quantity);
    *left = rest.ok_or_else(|| HandlerError::new(format!("only {left} of {} left", cmd.sku)))?;
    let sold_out = (*left == 0).then_some(SoldOut { sku: cmd.sku });
    Ok((Reply(Left(*left)), sold_out))
}

/// Orders more of what is sold out.
#[handler]
pub async fn order_more(event: SoldOut, stock: State<Stock>) {
    println!("sold out, so ten more are ordered: {}", event.sku);
    let mut stock = stock.0.lock().unwrap_or_else(PoisonError::into_inner);
    *stock.entry(event.sku).or_default() += 10;
}
