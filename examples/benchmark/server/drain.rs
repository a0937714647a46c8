//! A large backlog in PostgreSQL: whether its last messages are handled as fast as its first.

use std::time::Instant;

use jasper::store::Incoming;
use sqlx::{Connection, PgConnection, raw_sql};

use super::handlers::{
    Application, Forget, ForgetSixteen, NOTE, Runs, forget, forget_sixteen, row,
};
use super::ours::{App, PAGE, fill};
use super::postgres::OnPostgres;
use super::raw::Raw;
use super::{Database, name};
use crate::Outcome;

/// How many rates are shown.
const PORTIONS: usize = 10;

/// Messages of the hand-written loop, without an old snapshot.
const BY_HAND: usize = 100_000;

const OF_HAND: &str = "alter table messages set (autovacuum_enabled = false)";
const OF_JASPER: &str = "alter table jasper.jasper_incoming set (autovacuum_enabled = false)";

/// What is drained, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    rows: usize,
    by: By,
    has_snapshot: bool,
    has_autovacuum: bool,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Defaults,
    Sixteen,
    Shared,
}

impl Plan {
    /// The number of messages and the options, in any order.
    pub(crate) fn of(words: &[&str]) -> Option<Self> {
        let (by, rows) = (By::Defaults, 1_000_000);
        let mut plan = Self { rows, by, has_snapshot: false, has_autovacuum: true };
        for word in words {
            match *word {
                "snapshot" => plan.has_snapshot = true,
                "no-autovacuum" => plan.has_autovacuum = false,
                "sixteen" => plan.by = By::Sixteen,
                "share" => plan.by = By::Shared,
                rows => plan.rows = rows.parse().ok().filter(|rows| *rows >= PORTIONS * PAGE)?,
            }
        }
        plan.rows -= plan.rows % (PORTIONS * PAGE);
        Some(plan)
    }

    fn row(self) -> Outcome<Incoming> {
        match self.by {
            By::Defaults => row(forget, &Forget { note: NOTE.into() }),
            By::Sixteen => row(forget_sixteen, &ForgetSixteen { note: NOTE.into() }),
            By::Shared => OnPostgres::written(Runs::Together),
        }
    }
}

pub(crate) async fn measure(url: &str, plan: Plan) -> Outcome<()> {
    let measured = measure_in(url, plan).await;
    for number in [0, 1] {
        OnPostgres::remove(url, &name(number)).await?;
    }
    measured
}

async fn measure_in(url: &str, plan: Plan) -> Outcome<()> {
    println!("{plan:?}");
    let one = by_hand(OnPostgres::create(url, &name(0)).await?, plan, 1).await?;
    let four = by_hand(OnPostgres::create(url, &name(0)).await?, plan, 4).await?;
    println!("leased and deleted by hundreds: {one:.0}/s by one connection, {four:.0}/s by four");
    println!("   handled         rate  beside one and four by hand");
    let rates = drain(OnPostgres::create(url, &name(1)).await?, plan).await?;
    for (at, rate) in rates.iter().enumerate() {
        let handled = (at + 1) * plan.rows / PORTIONS;
        println!("{handled:>10} {rate:>10.0}/s  {:.2}  {:.2}", rate / one, rate / four);
    }
    if let ([first, ..], [.., last]) = (&rates[..], &rates[..]) {
        println!("last / first: {:.2}", last / first);
    }
    Ok(())
}

async fn by_hand(database: OnPostgres, plan: Plan, hands: usize) -> Outcome<f64> {
    let raw = Raw::create(database.clone()).await?;
    if !plan.has_autovacuum {
        raw_sql(OF_HAND).execute(&mut database.connect().await?).await?;
    }
    raw.leased_and_deleted(BY_HAND, hands).await
}

/// Messages per second, portion by portion, from the start of an application that finds them.
async fn drain(database: OnPostgres, plan: Plan) -> Outcome<Vec<f64>> {
    let store = database.store().await?;
    fill(&database, &store, plan.rows, || plan.row()).await?;
    let mut db = database.connect().await?;
    if !plan.has_autovacuum {
        raw_sql(OF_JASPER).execute(&mut db).await?;
    }
    let snapshot = if plan.has_snapshot { Some(hold_snapshot(&mut db).await?) } else { None };
    let mut began = Instant::now();
    let app = App::start::<OnPostgres>(store).await?;
    let mut rates = Vec::new();
    for _ in 0..PORTIONS {
        app.handled.reaches(plan.rows / PORTIONS).await?;
        rates.push((plan.rows / PORTIONS) as f64 / began.elapsed().as_secs_f64());
        began = Instant::now();
    }
    app.stop().await?;
    drop(snapshot);
    Ok(rates)
}

async fn hold_snapshot(db: &mut PgConnection) -> Outcome<sqlx::Transaction<'_, sqlx::Postgres>> {
    let mut transaction = db.begin_with("begin isolation level repeatable read").await?;
    raw_sql("select 1").execute(&mut *transaction).await?;
    Ok(transaction)
}
