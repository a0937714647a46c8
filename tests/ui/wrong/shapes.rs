//! Types that cannot be messages.

mod lifetime {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Place<'a> {
        sku: &'a str,
    }

    #[handler]
    async fn place(_: Place<'_>) {}
}

// 4 errors: the compiler has two of its own, and the type is also sent.
mod lifetime_that_is_elided {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Place<'a> {
        sku: &'a str,
    }

    #[handler]
    async fn place(cmd: Place) {
        let _ = cmd.sku;
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Place { sku: "mug" }).await;
    }
}

mod generic {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct Changed<T> {
        to: T,
    }

    #[handler]
    async fn note(_: Changed<u32>) {}
}

mod borrowed_field {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Place {
        sku: &'static str,
    }
}

mod field_without_serde {
    use jasper::prelude::*;
    use serde::Serialize;

    struct Money(u64);

    #[derive(Command, Serialize)]
    struct Place {
        #[serde(skip)]
        price: Money,
    }
}

mod no_serde_at_all {
    use jasper::prelude::*;

    #[derive(Command)]
    struct Place;
}

mod union_of_fields {
    use jasper::prelude::*;

    #[derive(Command)]
    union Place {
        a: u32,
        b: f32,
    }
}

mod not_send {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct Noted {
        #[serde(skip)]
        shared: std::marker::PhantomData<*const u8>,
    }
}

mod derive_that_is_no_message {
    use jasper::prelude::*;

    #[derive(Clone)]
    struct Place;

    #[handler]
    async fn place(_: Place) {}
}

mod no_serde_with_a_handler {
    use jasper::prelude::*;

    #[derive(Event)]
    struct Happened;

    #[handler]
    async fn note(_: Happened) {}
}

mod half_of_serde_with_a_handler {
    use jasper::prelude::*;
    use serde::Serialize;

    #[derive(Command, Serialize)]
    struct Place;

    #[handler]
    async fn place(_: Place) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Place).await;
    }
}

mod no_serde_and_returned {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event)]
    struct Placed;

    #[derive(Command, Serialize, Deserialize)]
    struct Place;

    #[handler]
    async fn place(_: Place) -> Option<Placed> {
        None
    }
}

fn main() {}
