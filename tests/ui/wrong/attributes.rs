//! Mistakes in the attributes of handlers.

macro_rules! command {
    ($name:ident) => {
        #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

mod durable_as_key {
    use jasper::prelude::*;

    command!(Run);

    #[handler(durable)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod durable_as_key_with_value {
    use jasper::prelude::*;

    command!(Run);

    #[handler(durable = true)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod share_in_handler {
    use jasper::prelude::*;

    command!(Run);

    #[handler(share = 50)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod retries {
    use jasper::prelude::*;

    command!(Run);

    #[handler(retries = 3)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod parallelism {
    use jasper::prelude::*;

    command!(Run);

    #[handler(parallelism = 4)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod name_of_a_handler {
    use jasper::prelude::*;

    command!(Run);

    #[handler(name = "place")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod reply_at_the_handler {
    use jasper::prelude::*;

    command!(Run);

    #[handler(reply = u32)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod to_at_the_handler {
    use jasper::prelude::*;

    command!(Run);

    #[handler(to = "shipping")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod queue_as_text_alone {
    use jasper::prelude::*;

    command!(Run);

    #[handler("emails")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod queue_with_a_colon {
    use jasper::prelude::*;

    command!(Run);

    #[handler(queue: "emails")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod queue_without_quotes {
    use jasper::prelude::*;

    command!(Run);

    #[handler(queue = emails)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod queue_as_a_call {
    use jasper::prelude::*;

    command!(Run);

    #[handler(queue("emails"))]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod timeout_as_a_number {
    use jasper::prelude::*;

    command!(Run);

    #[handler(timeout = 30)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod timeout_without_a_unit {
    use jasper::prelude::*;

    command!(Run);

    #[handler(timeout = "30")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod timeout_in_words {
    use jasper::prelude::*;

    command!(Run);

    #[handler(timeout = "30 seconds")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod one_delay_alone {
    use jasper::prelude::*;

    command!(Run);

    #[handler(delays = "10s")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod delays_as_numbers {
    use jasper::prelude::*;

    command!(Run);

    #[handler(delays = [10, 60])]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod delays_without_commas {
    use jasper::prelude::*;

    command!(Run);

    #[handler(delays = ["10s" "1m"])]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod concurrency_as_text {
    use jasper::prelude::*;

    command!(Run);

    #[handler(concurrency = "4")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod negative_attempts {
    use jasper::prelude::*;

    command!(Run);

    #[handler(attempts = -1)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod attempts_as_a_fraction {
    use jasper::prelude::*;

    command!(Run);

    #[handler(attempts = 2.5)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod attempts_too_large {
    use jasper::prelude::*;

    command!(Run);

    #[handler(attempts = 99999999999)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod attempts_as_a_constant {
    use jasper::prelude::*;

    command!(Run);

    #[handler(attempts = ATTEMPTS)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod no_commas_between_keys {
    use jasper::prelude::*;

    command!(Run);

    #[handler(attempts = 3 timeout = "1s")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod key_of_another_library {
    use jasper::prelude::*;

    command!(Run);

    #[handler(max_retries = 3)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

// 2 errors: the compiler refuses the form, and jasper what stands in it.
mod attribute_with_an_equals_sign {
    use jasper::prelude::*;

    command!(Run);

    #[handler = "emails"]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod crate_as_a_number {
    use jasper::prelude::*;

    command!(Run);

    #[handler(crate = 7)]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod queue_with_a_slash {
    use jasper::prelude::*;

    command!(Run);

    #[handler(queue = "a/b")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod empty_queue {
    use jasper::prelude::*;

    command!(Run);

    #[handler(queue = "")]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod share_of_none {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable(share)]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod share_as_text {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable(share = "50")]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod share_of_zero {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable(share = 0)]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod durable_true {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable(true)]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod durable_with_a_queue {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable(queue = "emails")]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod durable_with_attempts {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable(attempts = 3)]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod durable_with_an_equals_sign {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable = true]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod handler_twice {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod durable_twice {
    use jasper::prelude::*;

    command!(Run);

    #[durable]
    #[handler]
    #[durable]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod both_twice {
    use jasper::prelude::*;

    command!(Run);

    #[handler(queue = "one")]
    #[durable]
    #[jasper::handler(queue = "two")]
    async fn run(_: Run) {}
}

mod durable_beside_another_macro {
    use jasper::prelude::*;

    #[durable]
    #[tokio::main]
    async fn run() {}
}

mod handler_as_a_program {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[tokio::main]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod handler_as_a_test {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[test]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod durable_handler_as_a_test {
    use jasper::prelude::*;

    command!(Run);

    #[durable]
    #[handler]
    #[tokio::test]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}
}

fn main() {}
