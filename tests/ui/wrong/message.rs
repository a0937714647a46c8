//! One mistake for each rule of `#[derive(Command)]` and `#[derive(Event)]`.

mod bad_duration {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(deliver_within = "soon")]
    struct PlaceOrder;
}

mod bad_endpoint_name {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "Shipping")]
    struct PlaceOrder;
}

mod bad_queue_name {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "local://Ship Orders")]
    struct PlaceOrder;
}

mod duplicate_key {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(version = 2, version = 3)]
    struct PlaceOrder;
}

mod empty_name {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "")]
    struct PlaceOrder;
}

mod generic {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder<T> {
        item: T,
    }
}

mod malformed_name {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "Orders.PlaceOrder")]
    struct PlaceOrder;
}

mod missing_port {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "tcp://shipping")]
    struct PlaceOrder;
}

mod not_deserialize {
    use jasper::prelude::*;
    use serde::Serialize;

    #[derive(Command, Serialize)]
    struct PlaceOrder;
}

mod not_serialize {
    use jasper::prelude::*;
    use serde::Deserialize;

    #[derive(Command, Deserialize)]
    struct PlaceOrder;
}

mod routed_reply_derives_nothing {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    struct Receipt;

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "shipping", reply = Receipt)]
    struct ShipOrder;

    #[handler]
    async fn ship_order(_: ShipOrder) -> Reply<Receipt> {
        Reply(Receipt)
    }

    async fn application(bus: Bus) {
        let _ = bus.invoke(ShipOrder).await;
    }
}

mod routed_reply_is_not_deserialize {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize)]
    struct Receipt;

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "shipping", reply = Receipt)]
    struct ShipOrder;

    #[handler]
    async fn ship_order(_: ShipOrder) -> Reply<Receipt> {
        Reply(Receipt)
    }

    async fn application(bus: Bus) {
        let _ = bus.invoke(ShipOrder).await;
    }
}

mod routed_reply_is_not_serialize {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Deserialize)]
    struct Receipt;

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "shipping", reply = Receipt)]
    struct ShipOrder;

    #[handler]
    async fn ship_order(_: ShipOrder) -> Reply<Receipt> {
        Reply(Receipt)
    }

    async fn application(bus: Bus) {
        let _ = bus.invoke(ShipOrder).await;
    }
}

// 3 errors: one for each mistake.
mod several_mistakes {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "Place Order", version = 0, colour = "red")]
    struct PlaceOrder;
}

mod too_long_name {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(
        name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
                aaaaaaaaaaaaaaaaaaaaa"
    )]
    struct PlaceOrder;
}

mod unknown_key {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(nam = "place-order")]
    struct PlaceOrder;
}

mod unknown_key_of_event {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    #[event(to = "shipping")]
    struct PlaceOrder;
}

mod unknown_scheme {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "http://shipping:80")]
    struct PlaceOrder;
}

mod wrong_value_type {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(version = "2")]
    struct PlaceOrder;
}

fn main() {}
