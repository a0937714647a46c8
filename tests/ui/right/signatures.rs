//! What handlers take and return.

#![deny(warnings)]
#![allow(dead_code, reason = "nothing here is run")]

mod messages {
    use jasper::{Command, Event};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "signatures.ship", to = "shipping")]
    pub struct Ship;

    #[derive(Event, Serialize, Deserialize)]
    pub struct Placed;

    #[derive(Event, Serialize, Deserialize)]
    pub struct Noted;
}

macro_rules! command {
    ($name:ident) => {
        #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    };
}

/// Options, lists and tuples within each other.
mod nested {
    use super::messages::{Noted, Placed, Ship};
    use jasper::{HandlerError, handler};

    command!(Run);

    type Output = Result<(Option<Vec<Placed>>, (Ship, Option<(Noted, Ship)>)), HandlerError>;

    #[handler]
    async fn nested(_: Run) -> Output {
        Ok((None, (Ship, None)))
    }
}

/// One of two outcomes, as a pair of options.
mod one_of_two {
    use super::messages::{Noted, Placed};
    use jasper::handler;

    command!(Run);

    #[handler]
    async fn decide(_: Run) -> (Option<Placed>, Option<Noted>) {
        match std::env::args().len() {
            1 => (Some(Placed), None),
            _ => (None, Some(Noted)),
        }
    }
}

/// More than eight messages, in tuples within a tuple.
mod nine {
    use super::messages::Noted;
    use jasper::handler;

    command!(Run);

    #[handler]
    async fn nine(_: Run) -> ((Noted, Noted, Noted), (Noted, Noted, Noted), (Noted, Noted, Noted)) {
        ((Noted, Noted, Noted), (Noted, Noted, Noted), (Noted, Noted, Noted))
    }
}

/// A message with delivery options.
mod with_options {
    use std::time::Duration;

    use super::messages::{Noted, Ship};
    use jasper::{Delayed, DeliveryOptions, MessageExt, To, With, handler};

    command!(Run);

    #[handler]
    async fn options(_: Run) -> (Delayed<Noted>, Vec<To<Ship>>, Option<With<Noted>>) {
        let options = DeliveryOptions::new().deduplicate("7").group("orders");
        let delayed = Noted.delayed(Duration::from_secs(60));
        (delayed, vec![Ship.to("elsewhere")], Some(Noted.with(options)))
    }
}

/// A reply alone, in a `Result`, with messages after it.
mod replies {
    use super::messages::Noted;
    use jasper::{Command, HandlerError, Reply, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = String)]
    struct One;

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = Vec<(u32, Option<String>)>)]
    struct Two;

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = Result<u32, String>)]
    struct Three;

    #[handler]
    async fn one(_: One) -> Reply<String> {
        Reply(String::new())
    }

    #[handler]
    async fn two(_: Two) -> Result<(Reply<Vec<(u32, Option<String>)>>, Vec<Noted>), HandlerError> {
        Ok((Reply(Vec::new()), vec![Noted]))
    }

    #[handler]
    async fn three(_: Three) -> Reply<Result<u32, String>> {
        Reply(Err("none".into()))
    }
}

/// A handler that returns what another one returns.
mod calls_another {
    use super::messages::Placed;
    use jasper::{Bus, State, handler};

    command!(Run);
    command!(RunAgain);

    #[handler]
    async fn first(_: Run, prices: State<Vec<u32>>, bus: Bus) -> Option<Placed> {
        second(RunAgain, prices, bus).await
    }

    #[handler]
    async fn second(_: RunAgain, prices: State<Vec<u32>>, _: Bus) -> Option<Placed> {
        prices.first().map(|_| Placed)
    }
}

/// A state that is a tuple struct, a trait object, a generic type, an `Arc`.
mod states {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use jasper::{State, handler};

    command!(Run);

    pub struct Stock(pub Mutex<HashMap<String, u32>>);

    pub trait Mailer: Send + Sync {
        fn send(&self);
    }

    #[handler]
    async fn take(
        _: Run,
        stock: State<Stock>,
        mailer: State<Box<dyn Mailer>>,
        shared: State<Arc<dyn Mailer>>,
        prices: State<HashMap<String, Vec<u32>>>,
    ) {
        stock.0.lock().unwrap().clear();
        mailer.send();
        shared.send();
        let _ = prices.get("mug").map(Vec::len);
        let _kept: Arc<Stock> = State::into_arc(stock.clone());
    }

    pub async fn test() {
        let stock = Arc::new(Stock(Mutex::default()));
        let mailer: Box<dyn Mailer> = Box::new(Silent);
        let shared: Arc<dyn Mailer> = Arc::new(Silent);
        let shared = State::from(Arc::new(shared));
        take(Run, State::from(Arc::clone(&stock)), mailer.into(), shared, HashMap::new().into())
            .await;
        assert!(stock.0.lock().unwrap().is_empty());
    }

    struct Silent;
    impl Mailer for Silent {
        fn send(&self) {}
    }
}

/// A state that is a trait object or text.
mod states_without_a_size {
    use std::sync::Arc;

    use jasper::{State, handler};

    command!(Run);

    pub trait Clock: Send + Sync {
        fn now(&self) -> u64;
    }

    #[handler]
    async fn tick(_: Run, clock: State<dyn Clock>, name: State<str>) {
        let _ = (clock.now(), name.len());
    }

    fn builder(clock: Arc<dyn Clock>) -> jasper::runtime::Builder {
        let name: Arc<str> = Arc::from("shop");
        jasper::Jasper::builder().handler(tick).handler(tick).state(clock).state(name)
    }
}

/// A tuple of one.
mod tuple_of_one {
    use super::messages::Placed;
    use jasper::handler;

    command!(Run);

    #[handler]
    async fn one(_: Run) -> (Placed,) {
        (Placed,)
    }
}

/// An argument of the user's own.
mod own_argument {
    use jasper::handler::{FromContext, HandlerContext};
    use jasper::{HandlerError, handler};

    command!(Run);

    pub struct Tenant(pub String);

    impl FromContext for Tenant {
        fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError> {
            let tenant = cx.envelope().tenant_id;
            tenant.map(Self).ok_or_else(|| HandlerError::new("no tenant"))
        }
    }

    #[handler]
    async fn run(_: Run, tenant: Tenant) {
        drop(tenant.0);
    }
}

/// Patterns, `mut`, and twelve arguments.
mod many_arguments {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    struct Place {
        sku: String,
    }

    #[handler]
    #[durable]
    #[expect(clippy::too_many_arguments)]
    async fn place(
        Place { mut sku }: Place,
        a: State<u8>,
        mut b: State<u16>,
        _: State<u32>,
        _: State<u64>,
        db: &mut sqlx::SqliteConnection,
        _: State<i8>,
        _: State<i16>,
        bus: Bus,
        envelope: Envelope,
        cancelled: CancellationToken,
        _: State<String>,
    ) {
        sku.push('!');
        b.clone_from(&b.clone());
        let _ = (*a, db, bus, envelope.attempts, cancelled.is_cancelled());
    }
}

/// As many as there may be, and one more under a condition.
mod sixteen_arguments {
    use jasper::prelude::*;

    command!(Run);

    #[handler]
    #[rustfmt::skip]
    #[expect(clippy::too_many_arguments)]
    async fn run(
        _: Run,
        _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus,
        _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: Bus, _: State<u8>,
        #[cfg(any())] _: Bus,
    ) {
    }
}

/// A handler that does its work in other functions, tasks and blocking threads.
mod delegates {
    use jasper::{Bus, HandlerError, handler};

    use super::messages::Ship;

    command!(Run);

    #[handler]
    async fn run(_: Run, bus: Bus) -> Result<(), HandlerError> {
        let sum = tokio::task::spawn_blocking(|| (0..9).sum::<u32>()).await?;
        let within = bus.clone();
        tokio::spawn(async move { within.send(Ship).await }).await??;
        if sum > 0 { helper(&bus).await } else { Ok(()) }
    }

    async fn helper(bus: &Bus) -> Result<(), HandlerError> {
        bus.send(Ship).await?;
        Ok(())
    }
}

/// The connections of all stores.
mod connections {
    use jasper::{durable, handler};
    use sqlx::{MySqlConnection, PgConnection, SqliteConnection};

    command!(One);
    command!(Two);
    command!(Three);

    type Db = SqliteConnection;

    #[handler]
    #[durable]
    async fn one(_: One, db: &mut Db) -> sqlx::Result<()> {
        sqlx::query("select 1").execute(&mut *db).await?;
        sqlx::query("select 2").fetch_all(db).await.map(drop)
    }

    #[handler]
    #[durable]
    async fn two(_: Two, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("select 1").execute(db).await.map(drop)
    }

    #[handler]
    #[durable]
    async fn three(_: Three, db: &mut MySqlConnection) -> sqlx::Result<()> {
        sqlx::query("select 1").execute(db).await.map(drop)
    }
}

/// An event with several handlers, and one with none.
mod events {
    use jasper::{Bus, Event, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct Happened;

    #[derive(Event, Serialize, Deserialize)]
    struct Unheard;

    #[handler]
    async fn first(_: Happened) -> Unheard {
        Unheard
    }

    #[handler]
    async fn second(_: Happened, bus: Bus) {
        let _ = bus.publish(Unheard).await;
    }
}

/// A command that a handler sends to itself later, and two that send each other.
mod circles {
    use std::time::Duration;

    use jasper::{Delayed, MessageExt, handler};

    command!(Again);
    command!(Ping);
    command!(Pong);

    #[handler]
    async fn again(_: Again) -> Delayed<Again> {
        Again.delayed(Duration::from_secs(60))
    }

    #[handler]
    async fn ping(_: Ping) -> Option<Pong> {
        None
    }

    #[handler]
    async fn pong(_: Pong) -> Option<Ping> {
        None
    }
}
