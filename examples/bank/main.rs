//! Money that moves between accounts on several nodes, any of which may be killed at any time.
//!
//! ```text
//! bank setup URL                                   tables, and 100 accounts with 1,000 each
//! bank serve URL [--lease MS]                      a node, until SIGTERM
//! bank send URL COUNT [--lease MS] [--seed N] [--after ID] [--rate N] [--harms N]
//!           [--accepted FILE]                      a node that sends COUNT transfers, and N
//!                                                  messages whose handler harms its own
//!                                                  transaction; it ends when all is handled
//! bank check URL [--accepted FILE]                 what was lost or done twice; fails if any was
//! bank watch URL                                   how long it takes to do the work of nodes
//!                                                  that were killed; see `watch.rs`
//! ```
//!
//! URL is `sqlite:FILE`, `postgres://USER@HOST:PORT/DATABASE`, the like with `mysql:`, or
//! `sqlserver:SCHEMA;CONNECTION STRING`. Another database is another file like `sqlite.rs`, and a
//! line in `main`.
//! A transfer that `send` has written to FILE was accepted: whatever is killed, it takes effect
//! once. One that is not in FILE may have been accepted too, so `send` sends it again under the
//! same key when it is started again.

mod arguments;
mod bank;
mod check;
mod mysql;
mod node;
mod postgres;
mod send;
mod sqlite;
mod sqlserver;
mod watch;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use self::arguments::{Arguments, Command};
use self::bank::Bank;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<ExitCode> {
    let arguments = Arguments::read(env::args().skip(1))?;
    let (scheme, place) = arguments.url.split_once(':').unwrap_or_default();
    match scheme {
        "sqlite" => run(&sqlite::SqliteBank::open(place).await?, &arguments).await,
        "mysql" => run(&mysql::MysqlBank::connect(&arguments.url).await?, &arguments).await,
        "postgres" => {
            let bank = postgres::PostgresBank::connect(&arguments.url).await?;
            run(&bank, &arguments).await
        }
        "sqlserver" => run(&sqlserver::SqlServerBank::connect(place).await?, &arguments).await,
        _ => Err(format!("`{}`: there is no bank for that", arguments.url).into()),
    }
}

async fn run(bank: &impl Bank, arguments: &Arguments) -> Outcome<ExitCode> {
    match arguments.command {
        Command::Setup => bank.setup().await?,
        Command::Serve => node::serve(bank, arguments).await?,
        Command::Send { count } => send::send(bank, arguments, count).await?,
        Command::Check => return check::check(bank, arguments).await,
        Command::Watch => watch::watch(bank).await?,
    }
    Ok(ExitCode::SUCCESS)
}
