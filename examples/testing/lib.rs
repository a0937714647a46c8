//! A small shop that confirms orders by e-mail. How it is tested stands in `tests/`.

use std::sync::Arc;
use std::time::Duration;

use jasper::Builder;
use jasper::prelude::*;
use jasper::store::MessageStore;
use serde::{Deserialize, Serialize};

/// A customer orders.
#[derive(Debug, Command, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// Its number.
    pub id: u32,
    /// Where the customer is told of it.
    pub email: String,
}

/// An order is accepted.
#[derive(Debug, Event, Serialize, Deserialize)]
#[event(handled)]
pub struct OrderPlaced {
    /// Its number.
    pub id: u32,
    /// Where the customer is told of it.
    pub email: String,
}

/// The customer is to be asked what the order was like.
#[derive(Debug, Command, Serialize, Deserialize)]
pub struct AskForReview {
    /// The number of the order.
    pub id: u32,
    /// Where the customer is asked.
    pub email: String,
}

/// Sends e-mails; a test has one of its own.
pub trait Mail: Send + Sync {
    /// Sends one.
    ///
    /// # Errors
    /// The server did not take it.
    fn send(&self, email: &str, text: &str) -> std::io::Result<()>;
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Accepts an order.
///
/// # Errors
/// It has no address.
#[handler]
#[durable]
pub async fn place_order(
    cmd: PlaceOrder,
) -> Result<(OrderPlaced, Delayed<AskForReview>), HandlerError> {
    let PlaceOrder { id, email } = cmd;
    if !email.contains('@') {
        return Err(HandlerError::terminal("no e-mail address"));
    }
    let later = AskForReview { id, email: email.clone() };
    Ok((OrderPlaced { id, email }, later.delayed(WEEK)))
}

/// Tells the customer.
///
/// # Errors
/// The mail server did not take it.
#[handler(queue = "mails", delays = ["1s", "1m"])]
#[durable]
pub async fn confirm(event: OrderPlaced, mail: State<dyn Mail>) -> std::io::Result<()> {
    mail.send(&event.email, &format!("thank you for order {}", event.id))
}

/// Asks the customer.
///
/// # Errors
/// The mail server did not take it.
#[handler(queue = "mails")]
#[durable]
pub async fn ask_for_review(cmd: AskForReview, mail: State<dyn Mail>) -> std::io::Result<()> {
    mail.send(&cmd.email, &format!("how was order {}?", cmd.id))
}

/// The application, but for its store and its mail server.
pub fn shop(store: impl MessageStore, mail: Arc<dyn Mail>) -> Builder {
    Jasper::builder().service("small_shop").store(store).state(mail)
}
