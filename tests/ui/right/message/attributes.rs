//! All keys, and the defaults without them.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

use jasper::Message;
use std::time::Duration;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Receipt<T> {
    total: T,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "orders.place-order", version = 2)]
#[command(reply = Receipt<Vec<(u8, u8)>>, deliver_within = "30s",)]
struct PlaceOrder;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping")]
enum ShipOrder {
    Fast,
    Slow { days: u32 },
}

#[derive(Command, Serialize, Deserialize)]
#[command(to = "durable://127.0.0.1:5580")]
struct HTTPCall(String);

#[derive(Event, Serialize, Deserialize)]
#[event(deliver_within = "7d")]
struct OrderPlaced {}

pub(crate) fn main() {
    assert_eq!(PlaceOrder::TYPE.to_string(), "orders.place-order@2");
    assert_eq!(PlaceOrder::DELIVER_WITHIN, Some(Duration::from_secs(30)));
    assert_eq!(PlaceOrder::TO, None);
    let _: <PlaceOrder as Message>::Reply = Receipt { total: vec![(1, 2)] };
    assert_eq!(ShipOrder::TYPE.to_string(), "ship-order@1");
    assert_eq!(ShipOrder::TO, Some("shipping"));
    assert_eq!(HTTPCall::TYPE.to_string(), "http-call@1");
    assert_eq!(OrderPlaced::DELIVER_WITHIN, Some(Duration::from_secs(7 * 24 * 60 * 60)));
    let _: () = OrderPlaced::reply_of();
}

trait ReplyOf: Message {
    fn reply_of() -> Self::Reply
    where
        Self::Reply: Default,
    {
        Self::Reply::default()
    }
}

impl<M: Message> ReplyOf for M {}
