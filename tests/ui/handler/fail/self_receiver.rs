use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct PlaceOrder;

struct Service;

impl Service {
    #[handler]
    async fn place_order(&self, _: PlaceOrder) {}
}

fn main() {}
