//! Paths and types in attributes and macros that lead nowhere.

use serde::{Deserialize, Serialize};

mod crate_of_a_command {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(crate = nowhere)]
    struct Run;
}

mod crate_of_an_event_by_a_longer_path {
    use super::*;

    #[derive(jasper::Event, Serialize, Deserialize)]
    #[event(crate = nowhere::messaging, handled)]
    struct Happened;
}

mod crate_of_a_handler {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    struct Run;

    #[jasper::handler(crate = nowhere)]
    async fn run(_: Run) {}
}

// 2 errors: the compiler's own, and that there is no handler.
mod crate_of_a_handler_to_which_is_sent {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    struct Run;

    #[jasper::handler(crate = nowhere)]
    async fn run(_: Run) {}

    async fn call(bus: jasper::Bus) {
        let _ = bus.send(Run).await;
    }
}

mod crate_that_is_another {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(crate = serde)]
    struct Run;
}

mod typo_beside_a_crate {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(crate = jasper)]
    struct Run;

    #[instrumnt]
    #[jasper::handler(crate = jasper)]
    async fn run(_: Run) {}
}

mod reply_that_is_missing {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = Receipt)]
    struct Run;

    #[jasper::handler]
    async fn run(_: Run) -> jasper::Reply<u8> {
        jasper::Reply(1)
    }

    async fn call(bus: jasper::Bus) {
        let _ = bus.invoke(Run).await;
    }
}

mod reply_in_quotes {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = "u8")]
    struct Run;

    #[jasper::handler]
    async fn run(_: Run) -> jasper::Reply<u8> {
        jasper::Reply(1)
    }

    async fn call(bus: jasper::Bus) {
        let _ = bus.invoke(Run).await;
    }
}

mod reply_that_borrows {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = Option<&str>)]
    struct Run;

    #[jasper::handler]
    async fn run(_: Run) -> jasper::Reply<Option<&'static str>> {
        jasper::Reply(None)
    }
}

mod reply_that_borrows_and_travels {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = &str, to = "shipping")]
    struct Run;

    async fn call(bus: jasper::Bus) {
        let _ = bus.invoke(Run).await;
    }
}

mod reply_without_a_name {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = Vec<impl Clone>)]
    struct Run;
}

mod reply_to_be_inferred {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = Vec<_>)]
    struct Run;

    #[jasper::handler]
    async fn run(_: Run) -> jasper::Reply<Vec<u8>> {
        jasper::Reply(Vec::new())
    }
}

mod reply_of_any_type {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = dyn std::fmt::Debug)]
    struct Run;
}

mod reply_without_a_size {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = str)]
    struct Run;
}

mod reply_that_stays_on_its_thread {
    use super::*;

    #[derive(jasper::Command, Serialize, Deserialize)]
    #[command(reply = std::rc::Rc<u8>)]
    struct Run;
}

mod handlers_of_a_module {
    jasper::handlers_of!(crate::reply_that_borrows);
}

mod handlers_of_a_path {
    jasper::handlers_of!(orders::handlers, billing);
}

mod handlers_of_text {
    jasper::handlers_of!("orders");
}

fn main() {}
