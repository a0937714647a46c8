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

fn main() {}
