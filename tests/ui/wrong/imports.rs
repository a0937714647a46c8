//! Attributes that are not imported. The compiler's own words say what to import.

mod durable {
    use jasper::{Command, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Run;

    #[handler]
    #[durable]
    async fn run(_: Run, _: &mut sqlx::SqliteConnection) {}
}

mod handler {
    use jasper::Command;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}
}

// 2 errors: the compiler's own, and what follows from it.
mod derive {
    use jasper::handler;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}
}

// 3 errors: the compiler's own two, and what follows from them.
mod serde {
    use jasper::prelude::*;

    #[derive(Event, Serialize, Deserialize)]
    struct Happened;

    async fn call(bus: Bus) {
        let _ = bus.publish(Happened).await;
    }
}

mod typo_in_a_derive {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Clon, Command, Serialize, Deserialize)]
    struct Run;

    #[handler]
    async fn run(_: Run) {}
}

mod typo_in_an_attribute {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Run;

    #[instrumnt]
    #[handler]
    async fn run(_: Run) {}
}

fn main() {}
