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

// 3 errors: the compiler has two of its own.
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

mod generic_and_sent {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Change<T> {
        to: T,
    }

    #[handler]
    async fn change(_: Change<u32>) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Change { to: 1_u32 }).await;
        let _ = bus.invoke(Change { to: 1_u32 }).await;
    }
}

mod generic_with_bounds_and_published {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct Changed<T: Clone>
    where
        T: Send,
    {
        to: T,
    }

    #[handler]
    async fn note(_: Changed<u32>) -> Option<Changed<u32>> {
        None
    }

    async fn call(bus: Bus) {
        let _ = bus.publish(Changed { to: 1_u32 }).await;
    }
}

mod lifetime_and_sent {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Place<'a> {
        sku: &'a str,
    }

    #[handler]
    async fn place(_: Place<'_>) {}

    async fn call(bus: Bus, sku: &str) {
        let _ = bus.send(Place { sku }).await;
    }
}

mod union_and_sent {
    use jasper::prelude::*;

    #[derive(Command)]
    union Place {
        sku: u32,
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Place { sku: 1 }).await;
    }
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
