//! A test lets closures stand in for handlers of others, such as one that would charge a card.

use std::sync::{Arc, Mutex};

use jasper::InvokeError;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::testing::assert_routes;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

/// What a library offers. None of its handlers may run in these tests.
mod payments {
    use super::*;

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = u32)]
    pub(crate) struct Charge {
        pub(crate) cents: u32,
    }

    #[derive(Command, Serialize, Deserialize)]
    pub(crate) struct Refund {
        pub(crate) cents: u32,
    }

    #[derive(Event, Serialize, Deserialize)]
    pub(crate) struct Refunded {
        pub(crate) cents: u32,
    }

    #[derive(Debug)]
    struct Card;

    #[handler]
    async fn charge(_: Charge, _: State<Card>) -> Reply<u32> {
        panic!("a card is charged")
    }

    #[handler(attempts = 1)]
    #[durable]
    async fn refund(_: Refund, _: &mut SqliteConnection, _: State<Card>) -> Refunded {
        panic!("a card is refunded")
    }
}

use payments::{Charge, Refund, Refunded};

#[derive(Command, Serialize, Deserialize)]
#[command(reply = u32)]
struct PlaceOrder {
    cents: u32,
}

#[derive(Command, Serialize, Deserialize)]
struct CancelOrder {
    cents: u32,
}

#[handler]
async fn place_order(cmd: PlaceOrder, bus: Bus) -> Result<Reply<u32>, HandlerError> {
    Ok(Reply(bus.invoke(Charge { cents: cmd.cents }).await?))
}

#[handler]
async fn cancel_order(cmd: CancelOrder) -> Refund {
    Refund { cents: cmd.cents }
}

#[handler]
async fn note(event: Refunded, journal: State<Journal>) {
    journal.note(event.cents);
}

#[derive(Debug, Clone, Default)]
struct Journal(Arc<Mutex<Vec<u32>>>);

impl Journal {
    fn note(&self, cents: u32) {
        self.0.lock().unwrap().push(cents);
    }

    fn noted(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

fn builder(journal: &Journal) -> jasper::runtime::Builder {
    let refunds = journal.clone();
    Jasper::builder()
        .state(journal.clone())
        .fake(|cmd: Charge| async move { Reply(cmd.cents / 2) })
        .fake(move |cmd: Refund| {
            refunds.note(cmd.cents);
            async move { Some(Refunded { cents: cmd.cents + 1 }) }
        })
}

#[tokio::test]
async fn a_fake_answers_in_place_of_the_handler() {
    let app = builder(&Journal::default()).start().await.unwrap();
    assert_eq!(app.bus().invoke(Charge { cents: 10 }).await.unwrap(), 5);
    assert_eq!(app.bus().invoke(PlaceOrder { cents: 20 }).await.unwrap(), 10);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_another_handler_sends_reaches_the_fake_and_what_the_fake_returns_is_sent() {
    let journal = Journal::default();
    let app = builder(&journal).start().await.unwrap();
    app.bus().send(CancelOrder { cents: 7 }).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(journal.noted(), [7, 8]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_fake_is_there_beside_handlers_that_are_named() {
    let journal = Journal::default();
    let app = builder(&journal).handler(cancel_order).handler(note).start().await.unwrap();
    app.bus().send(Refund { cents: 3 }).await.unwrap();
    app.bus().send(CancelOrder { cents: 7 }).await.unwrap();
    app.until_idle().await.unwrap();
    let mut noted = journal.noted();
    noted.sort_unstable();
    assert_eq!(noted, [3, 4, 7, 8]);
    assert_eq!(app.bus().invoke(Charge { cents: 10 }).await.unwrap(), 5);
    app.stop().await.unwrap();
}

#[test]
fn a_fake_needs_neither_a_store_nor_states() {
    assert_routes!(builder(&Journal::default()));
    let whole = Jasper::builder().state(Journal::default()).check().unwrap_err();
    assert_eq!(whole.problems().len(), 3, "{whole}");
}

#[tokio::test]
async fn a_fake_may_fail_as_a_handler_does() {
    let store = MemoryStore::new();
    let app = builder(&Journal::default())
        .store(store.clone())
        .fake(|_: Charge| async { Err::<Reply<u32>, _>("no such card") })
        .start()
        .await
        .unwrap();
    let failed = app.bus().invoke(PlaceOrder { cents: 20 }).await.unwrap_err();
    assert!(matches!(failed, InvokeError::Failed(_)), "{failed}");
    assert!(failed.to_string().contains("no such card"), "{failed}");
    app.stop().await.unwrap();
}
