//! The reply of a command with `to` travels, so it can be encoded; any other need not be.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

use jasper::Message;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Receipt<T> {
    total: T,
}

#[derive(Command, Serialize, Deserialize)]
#[command(to = "billing", reply = Receipt<Vec<(u8, u8)>>)]
struct Charge;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "billing", reply = Self)]
struct Echo(u32);

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping")]
struct ShipOrder;

struct Opaque;

#[derive(Command, Serialize, Deserialize)]
#[command(reply = Opaque)]
struct Ask;

#[handler]
async fn charge(_: Charge) -> Result<Reply<Receipt<Vec<(u8, u8)>>>, HandlerError> {
    Ok(Reply(Receipt { total: vec![(1, 2)] }))
}

#[handler]
async fn echo(echo: Echo) -> Reply<Echo> {
    Reply(echo)
}

fn encoded<M: Message>(reply: &M::Reply) -> Option<String> {
    let reply = M::encodable_reply(reply)?;
    Some(serde_json::to_string(reply).expect("plain values can be encoded"))
}

pub(crate) fn main() {
    let receipt = Receipt { total: vec![(1, 2)] };
    assert_eq!(encoded::<Charge>(&receipt).as_deref(), Some(r#"{"total":[[1,2]]}"#));
    assert_eq!(encoded::<Echo>(&Echo(1)).as_deref(), Some("1"));
    assert_eq!(encoded::<ShipOrder>(&()).as_deref(), Some("null"));
    assert_eq!(encoded::<Ask>(&Opaque), None);
}
