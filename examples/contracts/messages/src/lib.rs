//! What the parts of the shop say to each other. No store, no runtime, no handlers.

use jasper::{Command, Event};
use serde::{Deserialize, Serialize};

/// Reserve articles for an order, and say how many are left.
#[derive(Debug, Command, Serialize, Deserialize)]
#[command(name = "stock.reserve", reply = Left)]
pub struct Reserve {
    /// The article.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// What is left of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left(pub u32);

/// An article is sold out.
#[derive(Debug, Event, Serialize, Deserialize)]
#[event(name = "stock.sold-out")]
pub struct SoldOut {
    /// The article.
    pub sku: String,
}
