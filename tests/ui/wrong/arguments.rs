//! Mistakes in what a handler takes.

macro_rules! command {
    ($name:ident) => {
        #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

mod state_is_not_send {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<std::rc::Rc<u32>>) {}
}

mod state_is_not_sync {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<std::cell::RefCell<u32>>) {}
}

mod state_holds_a_cell {
    use jasper::prelude::*;

    command!(Run);

    struct Cache {
        hits: std::cell::Cell<u32>,
    }

    #[handler]
    async fn run(_: Run, cache: State<Cache>) {
        cache.hits.set(1);
    }
}

mod state_by_reference {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: &State<u32>) {}
}

mod state_by_mutable_reference {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: &mut State<u32>) {}
}

mod optional_state {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: Option<State<u32>>) {}
}

mod bare_value {
    use jasper::prelude::*;

    command!(Run);

    struct Mailer;

    #[handler]
    async fn run(_: Run, _: Mailer) {}
}

mod bare_arc {
    use jasper::prelude::*;

    command!(Run);

    struct Mailer;

    #[handler]
    async fn run(_: Run, _: std::sync::Arc<Mailer>) {}
}

mod bare_pool {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: sqlx::SqlitePool) {}
}

mod pool_by_reference {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: &sqlx::SqlitePool) {}
}

mod pool_as_connection {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: Run, _: &mut sqlx::SqlitePool) {}
}

mod transaction_as_connection {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: Run, _: &mut sqlx::Transaction<'_, sqlx::Sqlite>) {}
}

mod connection_by_value {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: Run, _: sqlx::SqliteConnection) {}
}

mod connection_by_shared_reference {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: Run, _: &sqlx::SqliteConnection) {}
}

mod connection_of_a_pool {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: Run, _: sqlx::pool::PoolConnection<sqlx::Sqlite>) {}
}

mod connection_as_state {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}
}

mod bus_by_reference {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: &Bus) {}
}

mod bus_by_mutable_reference {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: Run, _: &mut Bus) {}
}

mod application {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: Jasper) {}
}

mod text {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: String) {}
}

mod borrowed_text {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: &str) {}
}

mod unknown_type {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<Mailer>) {}
}

mod unknown_argument {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: Mailer) {}
}

mod message_in_an_option {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Option<Run>) {}
}

mod messages_in_a_list {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Vec<Run>) {}
}

mod message_in_a_box {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Box<Run>) {}
}

mod message_by_mutable_reference {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: &mut Run) {}
}

mod message_as_state {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: State<Run>) {}
}

mod envelope_first {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Envelope, _: Run) {}
}

mod bus_first {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Bus, _: Run) {}
}

mod connection_first {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: &mut sqlx::SqliteConnection, _: Run) {}
}

mod two_messages {
    use jasper::prelude::*;

    command!(Run);
    command!(Stop);

    #[handler]
    async fn run(_: Run, _: Stop) {}
}

mod two_arguments_at_fault {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<u8>, _: u16) {}
}

mod not_send_and_an_argument_at_fault {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: u16) {
        let count = std::rc::Rc::new(1);
        tokio::task::yield_now().await;
        drop(count);
    }
}

mod seventeen_arguments {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[rustfmt::skip]
    async fn run(
        _: Run,
        _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus,
        _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus,
    ) {
    }

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod wrong_field_of_a_state {
    use jasper::prelude::*;

    command!(Run);

    struct Stock(u32);

    #[handler]
    async fn run(_: Run, stock: State<Stock>) {
        let _ = stock.1;
    }
}

mod state_taken_apart {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, State(prices): State<Vec<u32>>) {
        drop(prices);
    }
}

mod state_is_changed {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, prices: State<Vec<u32>>) {
        prices.push(1);
    }
}

fn main() {}
