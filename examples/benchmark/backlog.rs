//! Many messages that wait in the store: how soon an application starts, how fast it works them
//! off, and what it holds in memory meanwhile; and what a look costs where many types are unknown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jasper::envelope::Address;
use jasper::handler::HandlerRegistration;
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::{ClaimableRequest, Incoming, MessageStore, NextPage, Placement, Subscription};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::Outcome;
use crate::folder::Folder;
use crate::memory;
use crate::server::Application;
use crate::server::mysql::OnMysql;
use crate::server::postgres::OnPostgres;
use crate::server::sqlserver::OnSqlServer;

/// Rows of one call of the store.
const PAGE: usize = 500;

/// How many rates are shown.
const PORTIONS: usize = 10;

const LOOKS: usize = 50;
const LOOK_PAGE: usize = 200;

const DATABASE: &str = "jasper_benchmark_backlog";

#[derive(Command, Serialize, Deserialize)]
#[command(name = "backlog.drained")]
struct Drained {
    text: String,
}

#[handler(queue = "drained")]
#[durable]
async fn drained(_cmd: Drained, handled: State<Arc<Semaphore>>) {
    handled.add_permits(1);
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// All are of a type that the application handles.
    Known,
    /// Each is of a type of its own that nothing handles.
    Unknown,
}

pub(crate) async fn measure(what: What, store: &[&str], rows: usize) -> Outcome<()> {
    match store {
        ["sqlite"] => {
            let folder = Folder::new()?;
            run(what, SqliteStore::open(folder.file("backlog", 0)).await?, rows).await
        }
        ["postgres", url] => on_server::<OnPostgres>(what, url, rows).await,
        ["mysql", url] => on_server::<OnMysql>(what, url, rows).await,
        ["sqlserver", url] => on_server::<OnSqlServer>(what, url, rows).await,
        _ => Err(crate::USAGE.into()),
    }
}

async fn on_server<D: Application>(what: What, url: &str, rows: usize) -> Outcome<()> {
    let database = D::create(url, DATABASE).await?;
    let measured = run(what, database.store().await?, rows).await;
    D::remove(url, DATABASE).await?;
    measured
}

/// Messages per second from the start of an application that finds at least this many stored, by a
/// handler without a connection.
pub(crate) async fn rate(store: impl MessageStore, rows: usize) -> Outcome<f64> {
    let rows = rows.next_multiple_of(PAGE);
    fill(What::Known, &store, rows).await?;
    let handled = Arc::new(Semaphore::new(0));
    let started = Instant::now();
    let app = start(store, &handled).await?;
    handled.acquire_many(rows.try_into()?).await?.forget();
    app.until_idle().await?;
    let rate = rows as f64 / started.elapsed().as_secs_f64();
    app.stop().await?;
    Ok(rate)
}

async fn run(what: What, store: impl MessageStore, rows: usize) -> Outcome<()> {
    let started = Instant::now();
    let rows = rows / PAGE / PORTIONS * PAGE * PORTIONS;
    fill(what, &store, rows).await?;
    println!("{rows} rows stored in {:.1} s", started.elapsed().as_secs_f64());
    match what {
        What::Known => drain(store, rows).await,
        What::Unknown => look(&store).await,
    }
}

/// Stores whole pages.
async fn fill(what: What, store: &impl MessageStore, rows: usize) -> Outcome<()> {
    store.admin().prepare().await?;
    for page in 0..rows / PAGE {
        let page = (0..PAGE).map(|at| row(what, page * PAGE + at)).collect::<Outcome<_>>()?;
        store.inbox().store(page).await?;
    }
    Ok(())
}

async fn start(store: impl MessageStore, handled: &Arc<Semaphore>) -> Outcome<Jasper> {
    let builder = Jasper::builder().store(store).handler(drained).state(Arc::clone(handled));
    Ok(builder.start().await?)
}

fn row(what: What, number: usize) -> Outcome<Incoming> {
    let payload = serde_json::to_vec(&Drained { text: "x".repeat(150) })?;
    let message_type = match what {
        What::Known => Drained::TYPE,
        What::Unknown => format!("unknown.type-{number}@1").parse()?,
    };
    let envelope = Envelope::new(message_type, "application/json", payload.into(), destination()?);
    Ok(Incoming { envelope, placement: Placement::Unowned, retention: None })
}

async fn drain(store: impl MessageStore, rows: usize) -> Outcome<()> {
    let handled = Arc::new(Semaphore::new(0));
    let (before, started) = (memory::peak()?, Instant::now());
    let app = start(store, &handled).await?;
    println!("started in {:?}", started.elapsed());
    handled.acquire().await?.forget();
    println!("the first message was handled after {:?}", started.elapsed());
    handled.add_permits(1);
    for portion in 1..=PORTIONS {
        let began = Instant::now();
        handled.acquire_many((rows / PORTIONS).try_into()?).await?.forget();
        let rate = (rows / PORTIONS) as f64 / began.elapsed().as_secs_f64();
        println!("{:>10} {rate:>8.0}/s", portion * rows / PORTIONS);
    }
    memory::print(before)?;
    Ok(app.stop().await?)
}

/// The handler.
fn destination() -> Outcome<Address> {
    let handler = HandlerRegistration::of(drained).ok_or("not a handler")?;
    Ok(Address::local(handler.queue, handler.name))
}

/// Looks as the pager does: for what one handler takes, and a page of the rest.
async fn look(store: &impl MessageStore) -> Outcome<()> {
    let takes =
        Subscription { destination: destination()?, message_type: Drained::TYPE.to_string() };
    let (mut after, mut longest, mut all) = (None, Duration::ZERO, Duration::ZERO);
    for _ in 0..LOOKS {
        let request = ClaimableRequest { takes: [takes.clone()].into(), page: LOOK_PAGE, after };
        let started = Instant::now();
        after = match store.inbox().claimable(request).await?.next_page {
            NextPage::After(last) => Some(last),
            _ => None,
        };
        longest = longest.max(started.elapsed());
        all += started.elapsed();
    }
    println!("a look took {:?} on average, and {longest:?} at most", all / LOOKS as u32);
    Ok(())
}
