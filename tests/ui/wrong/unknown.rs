//! Types that are not there, in each place of a handler's signature.

macro_rules! command {
    ($name:ident) => {
        #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

mod message {
    use jasper::prelude::*;

    #[handler]
    async fn run(_: Missing, _: Bus, _: State<Vec<u8>>) -> Result<(), HandlerError> {
        Ok(())
    }
}

mod message_by_path {
    use jasper::prelude::*;

    mod orders {}

    #[handler]
    async fn run(_: orders::Missing) {}
}

mod message_of_an_unknown_crate {
    use jasper::prelude::*;

    #[handler]
    async fn run(_: contracts::Run) -> Reply<u8> {
        Reply(7)
    }
}

mod state {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<Missing>) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run).await;
    }
}

mod state_within {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: Bus, _: State<Vec<Missing>>) {}
}

mod state_of_a_trait {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<dyn Missing>) {}
}

mod state_with_two_types {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<u8, u16>) {}
}

mod state_without_its_type {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State) {}
}

mod reply {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Reply<Missing> {
        todo!()
    }

    async fn call(bus: Bus) {
        let _ = bus.invoke(Run).await;
    }
}

mod reply_with_a_message {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<(Reply<Missing>, Option<Run>), HandlerError> {
        todo!()
    }
}

mod declared_reply {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[command(reply = Missing)]
    struct Run;

    #[handler]
    async fn run(_: Run) -> Reply<u8> {
        Reply(7)
    }

    async fn call(bus: Bus) {
        let _ = bus.invoke(Run).await;
    }
}

mod both_replies {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[command(reply = u8)]
    struct Run;

    #[handler]
    async fn run(_: Run) -> Reply<Missing> {
        todo!()
    }

    async fn call(bus: Bus) {
        let _: Result<u8, _> = bus.invoke(Run).await;
    }
}

mod declared_reply_that_travels {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    #[command(to = "shipping", reply = Missing)]
    struct Run;

    async fn call(bus: Bus) {
        let _ = bus.invoke(Run).await;
    }
}

mod error {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<(), Missing> {
        Ok(())
    }
}

mod error_with_question_mark {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, bus: Bus) -> Result<(), Missing> {
        bus.send(Run).await?;
        Ok(())
    }
}

mod error_of_an_unknown_crate {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<(), missing::Error> {
        Ok(())
    }
}

// 2 errors: the compiler's own, of the type and of the value.
mod event {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Missing {
        Missing
    }
}

mod event_within {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Result<(Option<Missing>, Vec<Run>), HandlerError> {
        Ok((None, vec![]))
    }
}

mod event_for_later {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Option<Delayed<Missing>> {
        None
    }
}

mod event_with_options {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> (To<Missing>, With<Run>) {
        todo!()
    }
}

mod connection {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[durable]
    async fn run(_: Run, _: &mut Missing) {}
}

mod connection_by_path {
    use jasper::prelude::*;

    command!(Run);

    #[durable]
    #[handler]
    async fn run(_: Run, _: Bus, _: &mut serde::Missing) -> Result<(), HandlerError> {
        Ok(())
    }
}

mod connection_without_durable {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: &mut Missing) {}
}

mod argument {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: Missing, _: Bus) -> Option<Run> {
        None
    }
}

mod wrapper_of_an_argument {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: Stat<u8>) {}
}

mod field_of_a_message {
    use jasper::prelude::*;

    #[derive(Command, serde::Serialize, serde::Deserialize)]
    struct Run {
        order: Missing,
    }

    #[handler]
    async fn run(_: Run) {}

    async fn call(bus: Bus) {
        let _ = bus.send(Run { order: todo!() }).await;
    }
}

mod wrapper_of_what_is_returned {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run) -> Resultat<Run, HandlerError> {
        todo!()
    }
}

mod lifetime_of_a_connection {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    async fn run(_: Run, _: State<&'a str>) {}
}

fn main() {}
