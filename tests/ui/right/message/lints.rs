//! The derives are silent under strict lints.

#![forbid(unsafe_code, missing_docs, unreachable_pub)]
#![deny(warnings)]
#![warn(clippy::pedantic)]
#![allow(clippy::unused_async, reason = "the handlers here have nothing to wait for")]

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(reply = Private)]
struct Ask;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "billing", reply = Private)]
struct Charge;

#[derive(Serialize, Deserialize)]
struct Private;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "asked")]
#[allow(non_camel_case_types)]
struct was_asked;

#[handler]
async fn ask(_: Ask) -> (Reply<Private>, was_asked) {
    (Reply(Private), was_asked)
}

#[handler]
async fn charge(_: Charge) -> Reply<Private> {
    Reply(Private)
}
