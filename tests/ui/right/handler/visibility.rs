//! A private message of a public handler, a private handler in a module, and a handler within a
//! function.

#![forbid(unsafe_code, missing_docs, unreachable_pub)]
#![deny(warnings)]

use jasper::prelude::*;

mod orders {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub(crate) struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder) {}

    #[derive(Event, Serialize, Deserialize)]
    struct Hidden;

    pub(crate) mod open {
        use super::*;

        #[handler]
        pub(super) async fn hidden(_: Hidden) {}
    }
}

async fn application(bus: Bus) {
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    struct Count;

    #[handler]
    async fn count(_: Count) -> Reply<u32> {
        Reply(1)
    }

    let _sent = bus.send(orders::PlaceOrder).await;
    let _counted: u32 = bus.invoke(Count).await.unwrap_or_default();
}

pub(crate) fn main() {
    let _ = application;
}
