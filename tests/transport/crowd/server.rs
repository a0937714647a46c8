//! What a crowd leans on: an application that listens and answers, until it is killed.
//!
//! It prints `listening ADDRESS`.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "crowd.echo", to = "crowd", reply = String)]
struct Echo {
    text: String,
}

#[handler]
async fn echo(cmd: Echo) -> Reply<String> {
    Reply(cmd.text)
}

#[tokio::main]
async fn main() -> Result<(), jasper::Error> {
    let app = Jasper::builder().handler(echo).listen("tcp://127.0.0.1:0").start().await?;
    println!("listening {}", app.addresses()[0].rest());
    app.run_until_shutdown().await
}
