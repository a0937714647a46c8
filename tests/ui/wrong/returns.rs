//! Mistakes in what a handler returns.

macro_rules! command {
    ($name:ident) => {
        #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

macro_rules! event {
    ($name:ident) => {
        #[derive(jasper::Event, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

mod enum_of_outcomes {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);
    event!(Refused);

    enum Outcome {
        Placed(Placed),
        Refused(Refused),
    }

    #[handler]
    async fn run(_: Run) -> Outcome {
        Outcome::Placed(Placed)
    }
}

mod either {
    use futures_util::future::Either;
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);
    event!(Refused);

    #[handler]
    async fn run(_: Run) -> Either<Placed, Refused> {
        Either::Left(Placed)
    }
}

mod nine_messages {
    use jasper::prelude::*;

    command!(Run);
    event!(E);

    #[handler]
    async fn run(_: Run) -> (E, E, E, E, E, E, E, E, E) {
        (E, E, E, E, E, E, E, E, E)
    }
}

mod reply_second {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    event!(Placed);

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Run;

    #[handler]
    async fn run(_: Run) -> (Placed, Reply<u32>) {
        (Placed, Reply(1))
    }
}

mod reply_in_an_option {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Run;

    #[handler]
    async fn run(_: Run) -> Option<Reply<u32>> {
        None
    }
}

mod reply_in_a_list {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Run;

    #[handler]
    async fn run(_: Run) -> Vec<Reply<u32>> {
        vec![]
    }
}

mod reply_inside_the_second {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    event!(Placed);

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Run;

    #[handler]
    async fn run(_: Run) -> Result<(Placed, Option<Reply<u32>>), HandlerError> {
        Ok((Placed, None))
    }
}

mod reply_without_the_word {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Run;

    #[handler]
    async fn run(_: Run) -> u32 {
        1
    }
}

mod reply_of_an_event {
    use jasper::prelude::*;

    event!(Placed);

    #[handler]
    async fn run(_: Placed) -> Reply<u32> {
        Reply(1)
    }
}

mod reply_twice {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Run;

    #[handler]
    async fn run(_: Run) -> (Reply<u32>, Reply<u32>) {
        (Reply(1), Reply(2))
    }
}

mod truth_value {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> bool {
        true
    }
}

mod text {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<String, HandlerError> {
        Ok(String::new())
    }
}

mod array {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> [Placed; 2] {
        [Placed, Placed]
    }
}

mod boxed_event {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> Box<Placed> {
        Box::new(Placed)
    }
}

mod set_of_events {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> std::collections::HashSet<Placed> {
        Default::default()
    }
}

mod iterator {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> impl Iterator<Item = Placed> {
        [Placed].into_iter()
    }
}

mod future {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> impl Future<Output = Placed> {
        async { Placed }
    }
}

mod boxed_future {
    use std::pin::Pin;

    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> Pin<Box<dyn Future<Output = Placed> + Send>> {
        Box::pin(async { Placed })
    }
}

mod sending {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, bus: Bus) -> jasper::runtime::Sending<'static> {
        bus.send(Run)
    }
}

mod row {
    use jasper::prelude::*;

    command!(Run);

    struct Order;

    #[handler]
    async fn run(_: Run) -> sqlx::Result<Option<Order>> {
        Ok(None)
    }
}

mod unit_error {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<(), ()> {
        Err(())
    }
}

mod number_as_error {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<(), i32> {
        Err(1)
    }
}

mod error_without_send {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

mod error_without_the_trait {
    use jasper::prelude::*;

    command!(Run);

    #[derive(Debug)]
    struct OutOfStock;

    #[handler]
    async fn run(_: Run) -> Result<(), OutOfStock> {
        Err(OutOfStock)
    }
}

mod question_mark_on_no_error {
    use jasper::prelude::*;

    command!(Run);

    #[derive(Debug)]
    struct OutOfStock;

    fn take() -> Result<(), OutOfStock> {
        Err(OutOfStock)
    }

    #[handler]
    async fn run(_: Run) -> Result<(), HandlerError> {
        take()?;
        Ok(())
    }
}

mod result_without_an_error {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<()> {
        Ok(())
    }
}

mod unknown_output {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Placed {
        todo!()
    }
}

mod unhandled_in_a_tuple_in_an_option {
    use jasper::prelude::*;

    command!(Run);
    command!(Charge);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> Result<Option<(Placed, Vec<Charge>)>, HandlerError> {
        Ok(None)
    }
}

mod plain_struct_in_a_tuple {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    struct Note;

    #[handler]
    async fn run(_: Run) -> (Placed, Note) {
        (Placed, Note)
    }
}

mod body_of_another_type {
    use jasper::prelude::*;

    command!(Run);
    event!(Placed);

    #[handler]
    async fn run(_: Run) -> Placed {
        Run
    }
}

mod not_send_across_an_await {
    use std::sync::Mutex;

    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, stock: State<Mutex<u32>>) {
        let stock = stock.lock().unwrap();
        tokio::task::yield_now().await;
        drop(stock);
    }
}

mod not_send_in_a_helper {
    use jasper::prelude::*;

    command!(Run);

    async fn helper() {
        let count = std::rc::Rc::new(1);
        tokio::task::yield_now().await;
        drop(count);
    }

    #[handler]
    async fn run(_: Run) {
        helper().await;
    }
}

mod unsized_text {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Vec<Box<dyn std::any::Any + Send>> {
        Vec::new()
    }
}

fn main() {}
