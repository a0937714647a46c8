//! What the parts of the shop say to each other. In a larger one this is a crate of its own.

use jasper::{Command, Event};
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
pub(crate) struct PlaceOrder {
    pub(crate) order_id: String,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) email: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(handled)]
pub(crate) struct OrderPlaced {
    pub(crate) order_id: String,
    pub(crate) email: String,
}
