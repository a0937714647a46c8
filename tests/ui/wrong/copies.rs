//! Handlers that were copied, and derives and attributes that do not go together.

macro_rules! command {
    ($name:ident) => {
        #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

// 2 errors: the compiler's own, and that the first function takes another message.
mod copied_for_another_message {
    use jasper::prelude::*;

    command!(Open);
    command!(Close);

    #[handler]
    async fn run(_: Open) {}

    #[handler]
    async fn run(_: Close) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Open).await;
        let _ = bus.send(Close).await;
    }
}

// 2 errors: the compiler's own, and that the first function takes other arguments.
mod copied_with_other_arguments {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Event, serde::Serialize, serde::Deserialize)]
    struct Opened;

    #[handler]
    async fn run(_: Open, _: Bus) {}

    #[handler]
    async fn run(_: Opened) {}
}

// 2 errors: the compiler's own, of the function and of what stands beside it.
mod copied_whole {
    use jasper::prelude::*;

    command!(Open);

    #[handler]
    async fn run(_: Open) {}

    #[handler]
    async fn run(_: Open) {}
}

mod command_and_event_returned {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn open(_: Open) -> Option<Run> {
        None
    }

    #[handler]
    async fn run(_: Run) {}
}

mod command_and_event_sent_to_a_handler {
    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod command_and_event_sent_later {
    use std::time::Duration;

    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).delay(Duration::from_secs(1)).await;
    }
}

mod command_and_event_sent_in_a_list {
    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send_all(vec![Run]).await;
    }
}

mod command_and_event_sent_in_a_transaction {
    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus, tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>) {
        let _ = bus.enlist(tx).send(Run).await;
    }
}

mod command_and_event_invoked {
    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.invoke(Run).await;
    }
}

mod command_and_event_published {
    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.publish(Run).await;
    }
}

mod command_and_event_returned_for_later {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn open(_: Open) -> Option<Delayed<Run>> {
        None
    }

    #[handler]
    async fn run(_: Run) {}
}

mod command_and_event_with_a_reply {
    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    #[command(reply = u8)]
    struct Run;

    #[handler]
    async fn run(_: Run) -> Reply<u8> {
        Reply(7)
    }
}

mod command_and_event_as_a_reply {
    use jasper::prelude::*;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Answer;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[command(reply = Answer)]
    struct Run;

    #[handler]
    async fn run(_: Run) -> Reply<Answer> {
        Reply(Answer)
    }

    async fn call(bus: Bus) {
        let _: Result<Answer, _> = bus.invoke(Run).await;
    }
}

mod command_and_event_returned_plain {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn open(_: Open) -> Run {
        Run
    }

    #[handler]
    async fn run(_: Run) {}
}

mod command_and_event_returned_among_others {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Event, serde::Serialize, serde::Deserialize)]
    struct Opened;

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn open(_: Open) -> Result<(Opened, Vec<Run>), HandlerError> {
        Ok((Opened, vec![Run]))
    }

    #[handler]
    async fn run(_: Run) {}
}

mod command_and_event_in_two_attributes {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[derive(Event)]
    struct Run;

    #[handler]
    async fn open(_: Open) -> Run {
        Run
    }

    #[handler]
    async fn run(_: Run) {}
}

mod routed_command_and_event_returned {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Command, Event, serde::Serialize, serde::Deserialize)]
    #[command(to = "shipping", reply = u8)]
    struct Run;

    #[handler]
    async fn open(_: Open) -> Run {
        Run
    }
}

mod command_twice {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Command, Command, serde::Serialize, serde::Deserialize)]
    struct Run;

    #[handler]
    async fn open(_: Open) -> Run {
        Run
    }

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod command_twice_in_two_attributes {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[derive(Command)]
    #[command(reply = u8)]
    struct Run;

    #[handler]
    async fn run(_: Run) -> Reply<u8> {
        Reply(7)
    }

    async fn call(bus: Bus) {
        let _: Result<u8, _> = bus.invoke(Run).await;
    }
}

mod event_twice {
    use jasper::prelude::*;

    command!(Open);

    #[derive(Event, Event, serde::Serialize, serde::Deserialize)]
    struct Opened;

    #[handler]
    async fn open(_: Open) -> Opened {
        Opened
    }

    #[handler]
    async fn note(_: Opened) {}

    async fn call(bus: Bus) {
        let _ = bus.publish(Opened).await;
    }
}

mod event_twice_in_two_attributes {
    use jasper::prelude::*;

    #[derive(Event, serde::Serialize, serde::Deserialize)]
    #[derive(Event)]
    #[event(name = "opened")]
    struct Opened;

    #[handler]
    async fn note(_: Opened) {}
}

mod attribute_of_a_command_twice {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[command(name = "run")]
    #[command(name = "runs")]
    struct Run;

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod program_above_a_handler {
    use jasper::prelude::*;

    command!(Run);

    #[tokio::main]
    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

fn main() {}
