//! What jasper costs, beside hand-written loops on the same database in the same run.
//!
//! ```text
//! benchmark [sqlite] [MESSAGES]        in a new folder under the working directory, so that a
//!                                      `tmpfs` on `/tmp` does not flatter any of them
//! benchmark postgres URL [MESSAGES]    in databases of its own on that server, and with the
//! benchmark mysql URL [MESSAGES]       durability that the server has
//! benchmark sqlserver STRING [MESSAGES]   the same in the schema `jasper_benchmark` of a database,
//!                                      by its connection string in ADO form
//! benchmark rabbitmq URL POSTGRES_URL [MESSAGES]   by way of that broker, with nothing at both
//!                                      ends and with databases of their own on that server
//! benchmark servicebus [MESSAGES]      by way of the test broker of Azure Service Bus, in the same
//!                                      process, with nothing and with SQLite at both ends
//! benchmark local [MESSAGES]           a queue in memory, beside a channel
//! benchmark tcp [MESSAGES]             between two applications, each with SQLite or nothing
//! benchmark memory small|large STORE   the peak of memory of `send_all`: of 1,000,000 messages of
//!                                      150 bytes, of 600 of 2 MiB; STORE: sqlite, or postgres URL
//! benchmark memory retries             the same of a queue whose messages all wait for a retry
//! benchmark drain URL [MESSAGES] [snapshot] [no-autovacuum] [sixteen | share]
//!                                      a backlog of a million in PostgreSQL, portion by portion;
//!                                      with an old snapshot held open, without autovacuum, and by
//!                                      a handler with `concurrency = 16` or `share = 50`
//! benchmark backlog STORE [MESSAGES]   a backlog of a million: start, rates, peak of memory;
//!                                      STORE: sqlite, or postgres URL, or mysql URL, or
//!                                      sqlserver STRING
//! benchmark unknown STORE [MESSAGES]   the time of a look, while messages of as many unknown types
//!                                      wait
//! ```
//!
//! Nothing here is asserted: machines differ and are noisy, so read the ratios, not the figures
//! alone. The rounds are interleaved, so that a ratio is one of neighbours in time.

mod backlog;
mod folder;
mod local;
mod memory;
mod rabbitmq;
mod report;
mod server;
mod servicebus;
mod sqlite;
mod tcp;

use std::env;
use std::error::Error;

use self::server::mysql::OnMysql;
use self::server::postgres::OnPostgres;
use self::server::sqlserver::OnSqlServer;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: usize = 3;

/// Messages of a measurement, where the command line does not say: on SQLite, and on a server.
const FEW: usize = 4_000;
const MANY: usize = 10_000;

const USAGE: &str = "usage: benchmark [sqlite | postgres URL | mysql URL | sqlserver STRING | \
                     servicebus | local | tcp] [MESSAGES], \
                     or benchmark rabbitmq URL POSTGRES_URL [MESSAGES], \
                     or benchmark memory small|large|retries [sqlite | postgres URL], \
                     or benchmark backlog|unknown [sqlite | postgres URL | mysql URL | \
                     sqlserver STRING] [MESSAGES], \
                     or benchmark drain URL [MESSAGES] [snapshot] [no-autovacuum] \
                     [sixteen | share]";

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["sqlite"] => sqlite::measure(FEW).await,
        ["postgres", url] => server::measure::<OnPostgres>(url, MANY).await,
        ["mysql", url] => server::measure::<OnMysql>(url, MANY).await,
        ["sqlserver", url] => server::measure::<OnSqlServer>(url, MANY).await,
        ["drain", url, ref options @ ..] => {
            server::drain::measure(url, server::drain::Plan::of(options).ok_or(USAGE)?).await
        }
        ["backlog", ref store @ ..] => backlog(backlog::What::Known, store).await,
        ["unknown", ref store @ ..] => backlog(backlog::What::Unknown, store).await,
        ["rabbitmq", broker, database] => rabbitmq::measure(broker, database, MANY).await,
        ["rabbitmq", broker, database, messages] => {
            rabbitmq::measure(broker, database, count(messages)?).await
        }
        ["servicebus"] => servicebus::measure(MANY).await,
        ["servicebus", messages] => servicebus::measure(count(messages)?).await,
        ["local"] => local::measure(200_000).await,
        ["local", messages] => local::measure(count(messages)?).await,
        ["tcp"] => tcp::measure(MANY).await,
        ["memory", what, ref store @ ..] => memory::measure(what, store).await,
        ["tcp", messages] => tcp::measure(count(messages)?).await,
        [messages] | ["sqlite", messages] => sqlite::measure(count(messages)?).await,
        ["postgres", url, messages] => server::measure::<OnPostgres>(url, count(messages)?).await,
        ["mysql", url, messages] => server::measure::<OnMysql>(url, count(messages)?).await,
        ["sqlserver", url, messages] => server::measure::<OnSqlServer>(url, count(messages)?).await,
        _ => Err(USAGE.into()),
    }
}

async fn backlog(what: backlog::What, words: &[&str]) -> Outcome<()> {
    match words {
        [store @ .., messages] if messages.parse::<usize>().is_ok() => {
            backlog::measure(what, store, count(messages)?).await
        }
        store => backlog::measure(what, store, 1_000_000).await,
    }
}

fn count(word: &str) -> Outcome<usize> {
    word.parse().map_err(|_not_a_number| USAGE.into())
}
