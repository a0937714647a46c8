//! One mistake for each rule of routing.

mod error_is_not_accepted {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    enum OrderError {
        SoldOut,
    }

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<(), OrderError> {
        Err(OrderError::SoldOut)
    }
}

mod invoke_of_an_event {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    async fn application(bus: Bus) {
        let _ = bus.invoke(OrderPlaced).await;
    }
}

mod no_handler_for_cascaded_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Charge {
        Charge
    }
}

mod no_handler_for_cascaded_delayed {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    use std::time::Duration;

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Delayed<Charge> {
        Charge.delayed(Duration::from_secs(60))
    }
}

mod no_handler_for_cascaded_option {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Option<Charge> {
        Some(Charge)
    }
}

mod no_handler_for_cascaded_result {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<Charge, HandlerError> {
        Ok(Charge)
    }
}

mod no_handler_for_cascaded_tuple {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<(OrderPlaced, Option<Charge>), HandlerError> {
        Ok((OrderPlaced, Some(Charge)))
    }
}

mod no_handler_for_cascaded_vec {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Vec<Charge> {
        vec![Charge]
    }
}

mod no_handler_for_invoked_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    async fn application(bus: Bus) {
        let _ = bus.invoke(Charge).await;
    }
}

mod no_handler_for_sent_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    async fn application(bus: Bus) {
        let _ = bus.send(Charge).await;
    }
}

mod output_is_no_message {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<String, HandlerError> {
        Ok("placed".to_owned())
    }
}

mod publish_of_a_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder) {}

    async fn application(bus: Bus) {
        let _ = bus.publish(PlaceOrder).await;
    }
}

mod reply_is_missing {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    struct Count;

    #[handler]
    async fn count(_: Count) -> Result<(), HandlerError> {
        Ok(())
    }
}

mod reply_is_not_declared {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[handler]
    async fn place_order(_: PlaceOrder) -> Reply<u32> {
        Reply(1)
    }
}

mod reply_of_another_type {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    struct Count;

    #[handler]
    async fn count(_: Count) -> Result<Reply<String>, HandlerError> {
        Ok(Reply("three".to_owned()))
    }
}

mod send_of_an_event {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct OrderPlaced;

    async fn application(bus: Bus) {
        let _ = bus.send(OrderPlaced).await;
    }
}

mod send_of_no_message {
    use jasper::prelude::*;

    async fn application(bus: Bus) {
        let _ = bus.send("charge".to_owned()).await;
    }
}

mod two_handlers_of_cascaded_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct PlaceOrder;

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[handler]
    async fn charge_by_card(_: Charge) {}

    #[handler]
    async fn charge_by_invoice(_: Charge) {}

    #[handler]
    async fn place_order(_: PlaceOrder) -> Result<Charge, HandlerError> {
        Ok(Charge)
    }
}

mod two_handlers_of_invoked_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[handler]
    async fn charge_by_card(_: Charge) {}

    #[handler]
    async fn charge_by_invoice(_: Charge) {}

    async fn application(bus: Bus) {
        let _ = bus.invoke(Charge).await;
    }
}

mod two_handlers_of_sent_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Charge;

    #[handler]
    async fn charge_by_card(_: Charge) {}

    #[handler]
    async fn charge_by_invoice(_: Charge) {}

    async fn application(bus: Bus) {
        let _ = bus.send(Charge).await;
    }
}

fn main() {}
