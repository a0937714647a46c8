//! One mistake for each rule of `#[handler]` and `#[durable]`.

mod argument_by_reference {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    struct Mailer;

    #[handler]
    async fn place_order(_: PlaceOrder, _: &State<Mailer>) {}
}

mod argument_cannot_be_supplied {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder, _: Vec<String>) {}
}

mod bad_duration {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(timeout = "30 seconds")]
    async fn place_order(_: PlaceOrder) {}
}

mod bad_queue_name {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(queue = "My Queue")]
    async fn place_order(_: PlaceOrder) {}
}

mod connection_of_no_store {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    #[durable]
    async fn place_order(_: PlaceOrder, _: &mut String) {}
}

mod connection_without_durable {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    struct Connection;
    impl jasper::store::Connection for Connection {}

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder, _: &mut Connection) {}
}

mod delays_is_not_a_list {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(delays = "10s")]
    async fn place_order(_: PlaceOrder) {}
}

mod duplicate_key {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(queue = "a", queue = "b")]
    async fn place_order(_: PlaceOrder) {}
}

mod durable_with_an_unknown_key {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    #[durable(batch = 50)]
    async fn place_order(_: PlaceOrder) {}
}

mod durable_without_handler {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[durable]
    async fn place_order(_: PlaceOrder) {}
}

mod future_is_not_send {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    use std::rc::Rc;

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder) {
        let count = Rc::new(1);
        tokio::task::yield_now().await;
        drop(count);
    }
}

mod generic {
    use jasper::prelude::*;
    use jasper::Message;

    #[handler]
    async fn any<M: Message>(_: M) {}
}

mod impl_trait_argument {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder, _: impl Send) {}
}

mod impl_trait_output {
    use jasper::prelude::*;
    use jasper::Message;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<impl Message, HandlerError> {
        Ok(OrderPlaced)
    }
}

mod key_without_value {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(queue)]
    async fn place_order(_: PlaceOrder) {}
}

mod message_by_reference {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: &PlaceOrder) {}
}

mod message_does_not_derive {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder) {}
}

mod message_is_not_first {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    struct Mailer;

    #[handler]
    async fn place_order(_: State<Mailer>, _: PlaceOrder) {}
}

mod message_is_unknown {
    use jasper::prelude::*;

    #[handler]
    async fn place_order(_: PlaceOrdr) {}
}

mod mistake_is_the_only_error {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(attempts = 0)]
    async fn place_order(_: PlaceOrder) {}

    async fn application(bus: Bus) {
        let _ = bus.send(PlaceOrder).await;
    }
}

mod no_attempts {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(attempts = 0)]
    async fn place_order(_: PlaceOrder) {}
}

mod no_concurrency {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(concurrency = 0)]
    async fn place_order(_: PlaceOrder) {}
}

mod no_message {
    use jasper::prelude::*;

    #[handler]
    async fn place_order() {}
}

mod not_a_function {
    use jasper::prelude::*;

    #[handler]
    struct PlaceOrder;
}

mod not_async {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    fn place_order(_: PlaceOrder) {}
}

mod second_message {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[handler]
    async fn place_order(_: PlaceOrder, _: Charge) {}
}

mod self_receiver {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    struct Service;

    impl Service {
        #[handler]
        async fn place_order(&self, _: PlaceOrder) {}
    }
}

// 4 errors: one for each mistake.
mod several_mistakes {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(queue = "My Queue", retries = 3)]
    fn place_order(_: PlaceOrder, _: &mut String) {}
}

mod share_without_connection {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    #[durable(share = 50)]
    async fn place_order(_: PlaceOrder) {}
}

mod too_few_attempts {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(attempts = 2, delays = ["10s", "1m"])]
    async fn place_order(_: PlaceOrder) {}
}

mod two_connections {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    struct Connection;
    impl jasper::store::Connection for Connection {}

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    #[durable]
    async fn place_order(_: PlaceOrder, _: &mut Connection, _: &mut Connection) {}
}

mod unknown_key {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(que = "orders")]
    async fn place_order(_: PlaceOrder) {}
}

mod wrong_value_type {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler(queue = 5)]
    async fn place_order(_: PlaceOrder) {}
}

fn main() {}
