//! Where handlers and messages stand: one file each, re-exported, in other modules, under names
//! that other things have.

#![deny(warnings)]
#![allow(unused_imports, dead_code, reason = "a re-export is looked at, not always used")]

/// `mod place_order; pub use place_order::place_order;`, the layout of one file for each handler.
mod one_file_for_each_handler {
    mod place_order {
        use jasper::prelude::*;
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        pub struct PlaceOrder;

        #[handler]
        pub async fn place_order(_: PlaceOrder) {}
    }

    pub use place_order::{PlaceOrder, place_order};
}

/// `pub use place_order::*;` brings the function, its message, and nothing that hides the module.
mod glob_re_export {
    pub mod place_order {
        use jasper::prelude::*;
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        #[command(name = "glob.place-order")]
        pub struct PlaceOrder;

        #[handler]
        pub async fn place_order(_: PlaceOrder) {}
    }

    pub mod cancel_order {
        use jasper::prelude::*;
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        pub struct CancelOrder;

        #[handler]
        pub async fn cancel_order(_: CancelOrder) {}
    }

    pub use cancel_order::*;
    pub use place_order::*;

    fn names() -> (place_order::PlaceOrder, cancel_order::CancelOrder) {
        (PlaceOrder, CancelOrder)
    }
}

/// A handler with the name of a crate that its module uses.
mod handler_named_as_a_crate {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Tick;

    #[handler]
    pub async fn tokio(_: Tick) {
        ::tokio::task::yield_now().await;
        let _handle = tokio::task::spawn(async {});
    }
}

/// A handler with the name of a module beside it.
mod handler_named_as_a_module {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    mod time {
        pub fn now() -> u32 {
            0
        }
    }

    #[derive(Command, Serialize, Deserialize)]
    pub struct Tick;

    #[handler]
    pub async fn time(_: Tick) {
        let _ = time::now();
    }
}

/// A handler with the name of a type beside it.
mod handler_named_as_a_type {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[allow(non_camel_case_types)]
    #[derive(Command, Serialize, Deserialize)]
    pub struct charge {
        pub cents: u32,
    }

    #[handler]
    pub async fn charge(cmd: charge) {
        let _ = cmd.cents;
    }
}

/// A handler with the name of a macro.
mod handler_named_as_a_macro {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Format(String);

    #[handler]
    pub async fn format(cmd: Format) -> Result<(), HandlerError> {
        Err(HandlerError::new(format!("not {}", cmd.0)))
    }
}

/// Handlers of one name in two modules.
mod same_name_in_two_modules {
    pub mod card {
        use jasper::prelude::*;
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        pub struct PayByCard;

        #[handler(queue = "card")]
        pub async fn pay(_: PayByCard) {}
    }

    pub mod invoice {
        use jasper::prelude::*;
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        pub struct PayByInvoice;

        #[handler(queue = "invoice")]
        pub async fn pay(_: PayByInvoice) {}
    }
}

/// Messages in a module of their own, handlers in another, the caller in a third.
mod three_modules {
    pub mod messages {
        use jasper::{Command, Event};
        use serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        #[command(name = "three.place-order")]
        pub struct PlaceOrder {
            pub sku: String,
        }

        #[derive(Event, Serialize, Deserialize)]
        #[event(name = "three.order-placed")]
        pub struct OrderPlaced {
            pub sku: String,
        }
    }

    mod handlers {
        use super::messages::{OrderPlaced, PlaceOrder};
        use jasper::handler;

        #[handler]
        async fn place_order(cmd: PlaceOrder) -> OrderPlaced {
            OrderPlaced { sku: cmd.sku }
        }

        #[handler]
        async fn note_order(event: OrderPlaced) {
            drop(event.sku);
        }
    }

    pub mod web {
        pub async fn post(bus: jasper::Bus) -> Result<(), jasper::SendError> {
            bus.send(super::messages::PlaceOrder { sku: "mug".into() }).await?;
            Ok(())
        }
    }
}

/// A handler within a function, as in a test.
mod handler_in_a_function {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    pub async fn test(bus: Bus) -> Result<(), jasper::SendError> {
        #[derive(Command, Serialize, Deserialize)]
        struct Ping;

        #[handler]
        async fn ping(_: Ping) {}

        bus.send(Ping).await?;
        Ok(())
    }
}

/// A handler that the builder is given by its path.
mod handler_by_hand {
    use jasper::prelude::*;

    pub fn builder() -> jasper::runtime::Builder {
        Jasper::builder()
            .handler(super::one_file_for_each_handler::place_order)
            .handler(super::glob_re_export::cancel_order::cancel_order)
            .handler(super::same_name_in_two_modules::card::pay)
    }
}

fn main() {
    let problems = handler_by_hand::builder().check().err();
    assert!(problems.is_none(), "{problems:?}");
}
