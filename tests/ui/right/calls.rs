//! How messages are sent: alone, many, in tasks, through generic functions, within transactions.

#![deny(warnings)]
#![allow(dead_code, reason = "nothing here is run")]

mod shop {
    use jasper::{Command, Event, Reply, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Command, Serialize, Deserialize)]
    pub struct PlaceOrder {
        pub number: u32,
    }

    #[derive(Debug, Clone, Event, Serialize, Deserialize)]
    pub struct OrderPlaced {
        pub number: u32,
    }

    #[derive(Debug, Clone, Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub struct Count;

    #[derive(Debug, Clone, Command, Serialize, Deserialize)]
    #[command(to = "shipping", reply = u32)]
    pub struct Ship;

    #[handler]
    pub async fn place_order(cmd: PlaceOrder) -> OrderPlaced {
        OrderPlaced { number: cmd.number }
    }

    #[handler]
    pub async fn count(_: Count) -> Reply<u32> {
        Reply(0)
    }
}

/// A generic function that sends.
mod generic_send {
    use jasper::{Bus, SendError, Sendable};

    async fn send_it<M: Sendable<H>, H>(bus: &Bus, message: M) -> Result<(), SendError> {
        bus.send(message).await?;
        Ok(())
    }

    async fn call(bus: &Bus) -> Result<(), SendError> {
        send_it(bus, super::shop::PlaceOrder { number: 1 }).await?;
        send_it(bus, super::shop::Ship).await
    }
}

/// A generic function that publishes.
mod generic_publish {
    use jasper::{Bus, Publishable, SendError};

    async fn announce(bus: &Bus, event: impl Publishable) -> Result<(), SendError> {
        bus.publish(event).await?;
        Ok(())
    }

    async fn call(bus: &Bus) -> Result<(), SendError> {
        announce(bus, super::shop::OrderPlaced { number: 1 }).await
    }
}

/// A generic function that invokes.
mod generic_invoke {
    use jasper::{Bus, Invocable, InvokeError};

    async fn ask<M: Invocable<H>, H>(bus: &Bus, message: M) -> Result<M::Reply, InvokeError> {
        bus.invoke(message).await
    }

    async fn call(bus: &Bus) -> Result<u32, InvokeError> {
        Ok(ask(bus, super::shop::Count).await? + ask(bus, super::shop::Ship).await?)
    }
}

/// A generic type that keeps what it will send, with the bound in a `where`.
mod generic_type {
    use std::marker::PhantomData;

    use jasper::{Bus, SendError, Sendable};

    pub struct Outgoing<M, H> {
        bus: Bus,
        kept: Vec<M>,
        handler: PhantomData<fn(H)>,
    }

    impl<M, H> Outgoing<M, H>
    where
        M: Sendable<H> + Clone,
    {
        pub fn new(bus: Bus) -> Self {
            Self { bus, kept: Vec::new(), handler: PhantomData }
        }

        pub fn keep(&mut self, message: M) {
            self.kept.push(message);
        }

        pub async fn flush(&mut self) -> Result<usize, jasper::SendAllError> {
            self.bus.send_all(std::mem::take(&mut self.kept)).await
        }

        pub async fn once(&self, message: &M) -> Result<(), SendError> {
            self.bus.send(message.clone()).await?;
            Ok(())
        }
    }

    async fn call(bus: Bus) -> Result<usize, jasper::SendAllError> {
        let mut outgoing = Outgoing::new(bus);
        outgoing.keep(super::shop::PlaceOrder { number: 1 });
        outgoing.flush().await
    }
}

/// A generic function that sends within a transaction.
mod generic_enlist {
    use std::time::Duration;

    use jasper::{Bus, SendError, Sendable};
    use sqlx::{Sqlite, Transaction};

    async fn send_with<M: Sendable<H>, H>(
        bus: &Bus,
        tx: &mut Transaction<'static, Sqlite>,
        message: M,
    ) -> Result<(), SendError> {
        let mut enlisted = bus.enlist(tx);
        enlisted.send(message).delay(Duration::from_secs(1)).tenant("north").await?;
        Ok(())
    }

    async fn call(bus: &Bus, tx: &mut Transaction<'static, Sqlite>) -> Result<(), SendError> {
        send_with(bus, tx, super::shop::PlaceOrder { number: 1 }).await
    }
}

/// A send in a task of its own.
mod spawned {
    use jasper::Bus;
    use tokio::task::JoinHandle;

    fn call(bus: &Bus) -> JoinHandle<Result<jasper::runtime::Sent, jasper::SendError>> {
        tokio::spawn(bus.send(super::shop::PlaceOrder { number: 1 }))
    }

    fn ask(bus: &Bus) -> JoinHandle<Result<u32, jasper::InvokeError>> {
        let _remote = tokio::spawn(bus.invoke(super::shop::Ship));
        tokio::spawn(bus.invoke(super::shop::Count))
    }

    fn later(bus: &Bus) -> JoinHandle<Result<usize, jasper::SendAllError>> {
        let orders = (0..9).map(|number| super::shop::PlaceOrder { number });
        tokio::spawn(bus.send_all(orders))
    }
}

/// Sends at once: `join_all`, `try_join_all`, `join!`, `select!`.
mod joined {
    use futures_util::future::{join_all, try_join_all};
    use jasper::Bus;

    async fn call(bus: Bus) -> Result<(), jasper::SendError> {
        let order = |number| super::shop::PlaceOrder { number };
        join_all((0..9).map(|number| bus.send(order(number)))).await;
        try_join_all((0..9).map(|number| bus.send(order(number)))).await?;
        let (one, two) = tokio::join!(bus.send(order(1)), bus.send(order(2)));
        one.and(two)?;
        tokio::select! {
            sent = bus.send(order(3)) => { sent?; }
            () = std::future::pending() => {}
        }
        Ok(())
    }
}

/// A time-out around a send, and a retry of it.
mod timed {
    use std::time::Duration;

    use jasper::Bus;

    async fn call(bus: &Bus) -> bool {
        for _ in 0..3 {
            let send = bus.send(super::shop::PlaceOrder { number: 1 }).deduplicate("1");
            if let Ok(Ok(sent)) = tokio::time::timeout(Duration::from_secs(1), send).await {
                return !sent.duplicate;
            }
        }
        false
    }
}

/// A send that outlives the bus it came from.
mod outlives_its_bus {
    use jasper::{Bus, Jasper, runtime::Sending};

    fn begin(app: &Jasper) -> Sending<'static> {
        let bus: Bus = app.bus().clone();
        bus.send(super::shop::PlaceOrder { number: 1 })
    }
}

/// Many commands: a list, an iterator that borrows, a stream.
mod many {
    use futures_util::stream;
    use jasper::Bus;

    async fn call(bus: &Bus, numbers: &[u32]) -> Result<usize, jasper::SendAllError> {
        let order = |number| super::shop::PlaceOrder { number };
        let mut sent = bus.send_all(vec![order(1), order(2)]).await?;
        sent += bus.send_all(numbers.iter().map(|number| order(*number))).await?;
        sent += bus.send_all([order(1)]).on_progress(|_| {}).await?;
        sent += bus.send_stream(stream::iter((0..9).map(order))).await?;
        Ok(sent)
    }
}

/// The message's type, written out.
mod written_out {
    use jasper::Bus;

    async fn call(bus: &Bus) -> Result<(), jasper::SendError> {
        let order = serde_like();
        bus.send::<super::shop::PlaceOrder, _>(order).await?;
        bus.publish::<super::shop::OrderPlaced>(super::shop::OrderPlaced { number: 1 }).await?;
        Ok(())
    }

    fn serde_like() -> super::shop::PlaceOrder {
        super::shop::PlaceOrder { number: 1 }
    }
}

/// A `Bus` in the state of a web server, behind an `Arc`, in a struct, in a trait.
mod kept_bus {
    use std::sync::Arc;

    use jasper::Bus;

    #[derive(Clone)]
    pub struct AppState {
        bus: Arc<Bus>,
    }

    pub trait Shop {
        fn order(&self, number: u32) -> impl Future<Output = Result<(), jasper::SendError>> + Send;
    }

    impl Shop for AppState {
        async fn order(&self, number: u32) -> Result<(), jasper::SendError> {
            self.bus.send(super::shop::PlaceOrder { number }).await?;
            Ok(())
        }
    }

    fn is_shared<T: Clone + Send + Sync + 'static>() {}

    fn call() {
        is_shared::<AppState>();
    }
}

/// A test that takes the handler's place: see `fakes`.
mod called_as_a_function {
    async fn test() {
        let placed = super::shop::place_order(super::shop::PlaceOrder { number: 7 }).await;
        assert_eq!(placed.number, 7);
        assert_eq!(super::shop::count(super::shop::Count).await.0, 0);
    }
}

/// Calls that are looked at from another thread before they are awaited.
mod shared_before_it_is_awaited {
    use jasper::{Bus, SendError};

    fn is_shared<T: Send + Sync>(_: &T) {}

    async fn call(bus: &Bus) -> Result<(), SendError> {
        let one = bus.send(super::shop::Ship);
        is_shared(&one);
        one.await?;
        let published = bus.publish(super::shop::OrderPlaced { number: 1 });
        is_shared(&published);
        published.await?;
        Ok(())
    }
}
