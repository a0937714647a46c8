//! The same work through jasper.

use std::time::{Duration, Instant};

use jasper::prelude::*;
use jasper::store::{Incoming, MessageStore};
use tokio::time::MissedTickBehavior;

use super::TICK;
use super::handlers::{
    Application, Arrivals, DAY, Forget, Handled, NOTE, Park, Ping, Runs, followed_up, forget,
    forget_sixteen, park, ping, row,
};
use crate::Outcome;
use crate::report::percentile;

/// Rows of one call of the store, where a backlog is made.
pub(super) const PAGE: usize = 500;

/// An application with what is measured beside it.
pub(super) struct App {
    jasper: Jasper,
    pub(super) handled: Handled,
    arrivals: Arrivals,
}

impl App {
    pub(super) async fn start<D: Application>(store: D::Store) -> Outcome<Self> {
        let handled = Handled::none();
        let arrivals = Arrivals::default();
        let builder = Jasper::builder()
            .handler(forget)
            .handler(park)
            .handler(ping)
            .handler(followed_up)
            .handler(forget_sixteen);
        let builder =
            D::handlers(builder).store(store).state(handled.clone()).state(arrivals.clone());
        // What is parked is not to be waited for.
        let jasper = builder.drain_timeout(Duration::from_millis(1)).start().await?;
        Ok(Self { jasper, handled, arrivals })
    }

    /// Waits until this many are handled, and the last of them committed.
    async fn finish(&self, n: usize) -> Outcome<()> {
        self.handled.reaches(n).await?;
        Ok(self.jasper.until_idle().await?)
    }

    pub(super) async fn stop(self) -> Outcome<()> {
        Ok(self.jasper.stop().await?)
    }
}

/// Messages per second that are stored one by one, and not handled meanwhile.
pub(super) async fn send<D: Application>(
    database: &D,
    n: usize,
    senders: usize,
    delayed: bool,
) -> Outcome<f64> {
    let app = App::start::<D>(database.store().await?).await?;
    let started = Instant::now();
    let sent = send_from(&app, n, senders, move |bus| async move {
        let sending = bus.send(Park { note: NOTE.into() });
        let sending = if delayed { sending.delay(DAY) } else { sending };
        sending.await.map(drop)
    });
    let rate = sent.await? as f64 / started.elapsed().as_secs_f64();
    app.stop().await?;
    Ok(rate)
}

/// Messages per second that are stored by one call, and not handled meanwhile.
pub(super) async fn bulk<D: Application>(database: &D, n: usize) -> Outcome<f64> {
    let app = App::start::<D>(database.store().await?).await?;
    let started = Instant::now();
    let messages = (0..n).map(|_| Park { note: NOTE.into() });
    let sent = app.jasper.bus().send_all(messages).await?;
    let rate = sent as f64 / started.elapsed().as_secs_f64();
    app.stop().await?;
    Ok(rate)
}

/// Messages per second from the start of an application that finds them stored, by a handler
/// without a connection.
pub(super) async fn drain<D: Application>(database: &D, n: usize) -> Outcome<f64> {
    from_backlog(database, n, || row(forget, &Forget { note: NOTE.into() })).await
}

/// Messages per second from the start of an application that finds them stored, by the
/// transactional handler.
pub(super) async fn backlog<D: Application>(database: &D, n: usize, runs: Runs) -> Outcome<f64> {
    from_backlog(database, n, || D::written(runs)).await
}

async fn from_backlog<D: Application>(
    database: &D,
    n: usize,
    row: impl Fn() -> Outcome<Incoming>,
) -> Outcome<f64> {
    let store = database.store().await?;
    fill(database, &store, n, row).await?;
    let n = n / PAGE * PAGE;
    let started = Instant::now();
    let app = App::start::<D>(store).await?;
    app.finish(n).await?;
    let rate = n as f64 / started.elapsed().as_secs_f64();
    app.stop().await?;
    Ok(rate)
}

/// Stores a backlog, by whole pages.
pub(super) async fn fill<D: Application>(
    database: &D,
    store: &D::Store,
    n: usize,
    row: impl Fn() -> Outcome<Incoming>,
) -> Outcome<()> {
    store.admin().prepare().await?;
    D::create_tables(&mut database.connect().await?).await?;
    for _ in 0..n / PAGE {
        let rows = (0..PAGE).map(|_| row()).collect::<Outcome<_>>()?;
        store.inbox().store(rows).await?;
    }
    Ok(())
}

/// Messages per second from the first send until the last is handled, by the transactional handler.
pub(super) async fn overlapped<D: Application>(
    database: &D,
    n: usize,
    senders: usize,
    runs: Runs,
) -> Outcome<f64> {
    D::create_tables(&mut database.connect().await?).await?;
    let app = App::start::<D>(database.store().await?).await?;
    let started = Instant::now();
    let send = move |bus: Bus| async move { D::write(&bus, runs).await.map(drop) };
    let sent = send_from(&app, n, senders, send).await?;
    app.finish(sent).await?;
    let rate = sent as f64 / started.elapsed().as_secs_f64();
    app.stop().await?;
    Ok(rate)
}

async fn send_from<F>(
    app: &App,
    n: usize,
    senders: usize,
    send: impl Fn(Bus) -> F + Copy + Send + 'static,
) -> Outcome<usize>
where
    F: Future<Output = Result<(), jasper::SendError>> + Send,
{
    let each = n / senders;
    let tasks = (0..senders).map(|_| {
        let bus = app.jasper.bus().clone();
        tokio::spawn(async move {
            for _ in 0..each {
                send(bus.clone()).await?;
            }
            Outcome::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(each * senders)
}

/// Seconds from the call of `send` to the entry of the handler, at 100 messages per second: p50,
/// p95 and p99.
pub(super) async fn latency<D: Application>(
    database: &D,
    n: usize,
    begun: bool,
) -> Outcome<[f64; 3]> {
    let app = App::start::<D>(database.store().await?).await?;
    app.arrivals.expect(n);
    let mut departures = Vec::with_capacity(n);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..n {
        ticks.tick().await;
        departures.push(Instant::now());
        if begun {
            D::ping(app.jasper.bus(), number).await?
        } else {
            app.jasper.bus().send(Ping { number }).await?
        };
    }
    app.jasper.until_idle().await?;
    let arrivals = app.arrivals.list();
    app.stop().await?;
    let pairs = departures.iter().zip(&arrivals);
    let seconds =
        pairs.filter_map(|(from, to)| Some(to.as_ref()?.duration_since(*from).as_secs_f64()));
    let seconds: Vec<_> = seconds.collect();
    Ok([50, 95, 99].map(|percent| percentile(seconds.clone(), percent)))
}
