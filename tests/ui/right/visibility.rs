//! A message is often more visible than what its handler takes, returns and fails with.

#![deny(warnings, private_interfaces, private_bounds)]
#![allow(dead_code, reason = "nothing here is run")]

/// A command of a contracts crate, whose handler fails with an error of its own.
pub mod private_error {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct PlaceOrder;

    #[derive(Debug, thiserror::Error)]
    #[error("out of stock")]
    struct OutOfStock;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<(), OutOfStock> {
        Err(OutOfStock)
    }
}

/// A private event behind a public command.
pub mod private_event {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct PlaceOrder;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> OrderPlaced {
        OrderPlaced
    }
}

/// A private command behind a public one, in a tuple with a private event, in a `Result` with a
/// private error.
pub mod private_everything {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[derive(Debug, thiserror::Error)]
    #[error("not today")]
    struct Closed;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<(OrderPlaced, Option<Charge>), Closed> {
        Ok((OrderPlaced, Some(Charge)))
    }

    #[handler]
    async fn charge(_: Charge) -> Result<(), Closed> {
        Err(Closed)
    }
}

/// A private state and a private type in it.
pub mod private_state {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct PlaceOrder;

    struct Stock(u32);

    #[handler]
    async fn place_order(_: PlaceOrder, stock: State<Stock>) {
        let _left = stock.0;
    }
}

/// A private connection type.
pub mod private_connection {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct PlaceOrder;

    struct Connection;
    impl jasper::store::Connection for Connection {}

    #[handler]
    #[durable]
    async fn place_order(_: PlaceOrder, _: &mut Connection) {}
}

/// A public handler of a private message, which its own module sends.
pub mod private_message {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Tick;

    #[handler]
    async fn tick(_: Tick, bus: Bus) -> Result<(), HandlerError> {
        bus.send(Tick).delay(std::time::Duration::from_secs(60)).await?;
        Ok(())
    }
}

/// `pub(crate)` and `pub(super)` beside `pub`.
pub mod restricted {
    pub(crate) mod inner {
        use jasper::prelude::*;
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        pub(crate) struct PlaceOrder;

        #[derive(Event, Serialize, Deserialize)]
        pub(super) struct OrderPlaced;

        #[handler]
        pub(super) async fn place_order(_: PlaceOrder) -> OrderPlaced {
            OrderPlaced
        }
    }

    async fn call() {
        let inner::OrderPlaced = inner::place_order(inner::PlaceOrder).await;
    }
}

/// A private handler of a public command, sent from elsewhere.
pub mod private_handler {
    pub mod contract {
        use jasper::Command;
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        #[command(name = "private-handler.count", reply = u64)]
        pub struct Count;
    }

    mod service {
        use jasper::{Reply, handler};

        #[handler]
        async fn count(_: super::contract::Count) -> Reply<u64> {
            Reply(7)
        }
    }

    pub async fn ask(bus: &jasper::Bus) -> Result<u64, jasper::InvokeError> {
        bus.invoke(contract::Count).await
    }
}
