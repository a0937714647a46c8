use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(reply = u32)]
struct Count;

#[handler]
async fn count(_: Count) -> Result<Reply<String>, HandlerError> {
    Ok(Reply("three".to_owned()))
}

fn main() {}
