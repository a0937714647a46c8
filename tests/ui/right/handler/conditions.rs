//! A `#[cfg]` on the function holds for what stands beside it.

#![allow(clippy::non_minimal_cfg, reason = "conditions that are never and always true")]

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

#[handler]
#[cfg(any())]
async fn place_order(_: PlaceOrder, _: NoSuchType) {}

#[handler]
#[cfg(all())]
async fn place_order(_: PlaceOrder) {}
