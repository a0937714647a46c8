//! Routing by the types of messages alone.

use jasper::Builder;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::testing::servicebus::Broker;
use jasper::transport::servicebus::Declare;
use serde::{Deserialize, Serialize};
use tests::Journal;

use crate::bench::transport;

// Two commands that one endpoint handles, in an application whose configuration has no endpoint.

#[derive(Command, Serialize, Deserialize)]
#[command(name = "asb-type.ship", to = "asb-type.shipping")]
struct Ship {
    order: u32,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "asb-type.quote", to = "asb-type.shipping", reply = u32)]
struct Quote {
    order: u32,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "asb-type.shipped")]
struct Shipped {
    order: u32,
}

#[handler]
async fn ship(cmd: Ship, journal: State<Journal>) -> Shipped {
    journal.note(format!("ship {}", cmd.order));
    Shipped { order: cmd.order }
}

#[handler]
async fn quote(cmd: Quote) -> Reply<u32> {
    Reply(cmd.order * 10)
}

#[handler]
async fn note_shipped(event: Shipped, journal: State<Journal>) {
    journal.note(format!("shipped {}", event.order));
}

fn service(name: &str, broker: &Broker) -> Builder {
    service_under("", name, broker)
}

/// The same with a prefix for names.
fn service_under(prefix: &str, name: &str, broker: &Broker) -> Builder {
    let transport = transport(broker).declare(Declare::Provision).reply_queue("replies");
    let transport = transport.prefix(prefix);
    let builder = Jasper::builder().service(name).store(MemoryStore::new()).transport(transport);
    builder.conventional_routing("servicebus")
}

#[tokio::test]
async fn one_call_routes_commands_to_queues_and_events_to_all_services_by_their_types() {
    let broker = Broker::start().await.unwrap();
    let [sent, one, two] = [Journal::default(), Journal::default(), Journal::default()];
    let shipping = service("shipping", &broker).handler(ship).handler(quote).state(sent.clone());
    let shipping = shipping.start().await.unwrap();
    let orders = service("orders", &broker).handler(note_shipped).state(one.clone());
    let orders = orders.start().await.unwrap();
    let billing = service("billing", &broker).handler(note_shipped).state(two.clone());
    let billing = billing.start().await.unwrap();
    orders.bus().send(Ship { order: 7 }).await.unwrap();
    sent.wait_for("ship 7").await;
    one.wait_for("shipped 7").await;
    two.wait_for("shipped 7").await;
    assert_eq!(orders.bus().invoke(Quote { order: 7 }).await.unwrap(), 70);
    for (queue, sent) in [("asb-type.ship", 1), ("asb-type.quote", 1), ("asb-type.shipped", 1)] {
        assert_eq!(broker.counts(queue).sent, sent, "{queue}");
    }
    assert_eq!(broker.counts("asb-type.shipped/Subscriptions/billing").sent, 1);
    for app in [orders, billing, shipping] {
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_event_that_no_service_listens_for_is_no_dead_letter() {
    let broker = Broker::start().await.unwrap();
    let app = service("shipping", &broker).handler(ship).state(Journal::default());
    let app = app.start().await.unwrap();
    app.bus().publish(Shipped { order: 7 }).await.unwrap();
    app.until_idle().await.unwrap();
    let counts = app.store().unwrap().admin().counts().await.unwrap();
    assert_eq!((counts.outgoing, counts.dead_letters), (0, 0));
    assert_eq!(broker.counts("asb-type.shipped").sent, 1);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_prefix_keeps_two_deployments_in_one_namespace_apart() {
    let broker = Broker::start().await.unwrap();
    let (one, two) = (Journal::default(), Journal::default());
    let mut apps = Vec::new();
    for (prefix, journal) in [("one.", &one), ("two.", &two)] {
        let builder = service_under(prefix, "shipping", &broker).handler(ship).handler(quote);
        apps.push(builder.state(journal.clone()).start().await.unwrap());
        let builder = service_under(prefix, "orders", &broker).handler(note_shipped);
        apps.push(builder.state(journal.clone()).start().await.unwrap());
    }
    let orders = &apps[1];
    orders.bus().send(Ship { order: 7 }).await.unwrap();
    one.wait_for("shipped 7").await;
    assert_eq!(orders.bus().invoke(Quote { order: 7 }).await.unwrap(), 70);
    assert!(two.notes().is_empty());
    for (entity, sent) in [
        ("one.asb-type.ship", 1),
        ("one.asb-type.shipped/Subscriptions/orders", 1),
        ("one.replies", 1),
        ("two.asb-type.ship", 0),
        ("two.replies", 0),
        ("asb-type.ship", 0),
    ] {
        assert_eq!(broker.counts(entity).sent, sent, "{entity}");
    }
    for app in apps {
        app.stop().await.unwrap();
    }
}
