//! Routing by the types of messages alone.

use jasper::Builder;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::transport::rabbitmq::RabbitMq;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tests::servers::rabbitmq_url;

use crate::bench::{Client, unique};

// Two commands that one endpoint handles, in an application whose configuration has no endpoint.

#[derive(Command, Serialize, Deserialize)]
#[command(name = "by-type.ship", to = "by-type.shipping")]
struct Ship {
    order: u32,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "by-type.quote", to = "by-type.shipping", reply = u32)]
struct Quote {
    order: u32,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "by-type.shipped")]
struct Shipped {
    order: u32,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "by-type.unnoticed")]
struct Unnoticed;

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

fn service(name: &str, url: &str, prefix: &str) -> Builder {
    let transport = RabbitMq::at(url).prefix(format!("{prefix}."));
    let builder = Jasper::builder().service(name).store(MemoryStore::new()).transport(transport);
    builder.conventional_routing("rabbitmq")
}

fn shipping(url: &str, prefix: &str, journal: &Journal) -> Builder {
    service("shipping", url, prefix).handler(ship).handler(quote).state(journal.clone())
}

fn orders(url: &str, prefix: &str, journal: &Journal) -> Builder {
    service("orders", url, prefix).handler(note_shipped).state(journal.clone())
}

#[tokio::test]
async fn one_call_routes_commands_to_queues_and_events_to_all_services_by_their_types() {
    let (url, prefix) = (rabbitmq_url(), unique("types"));
    let [sent, one, two] = [Journal::default(), Journal::default(), Journal::default()];
    let shipping = shipping(&url, &prefix, &sent).start().await.unwrap();
    let orders = orders(&url, &prefix, &one).start().await.unwrap();
    let billing = service("billing", &url, &prefix).handler(note_shipped).state(two.clone());
    let billing = billing.start().await.unwrap();
    orders.bus().send(Ship { order: 7 }).await.unwrap();
    sent.wait_for("ship 7").await;
    one.wait_for("shipped 7").await;
    two.wait_for("shipped 7").await;
    assert_eq!(orders.bus().invoke(Quote { order: 7 }).await.unwrap(), 70);
    let client = Client::connect(&url).await;
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let of_orders = "by-type.shipped.#";
    for queue in ["by-type.ship", "by-type.quote"] {
        let queue = format!("{prefix}.{queue}");
        client.channel.queue_declare((&*queue).into(), passive, Default::default()).await.unwrap();
    }
    let queue = format!("{prefix}.orders.{of_orders}");
    client.channel.queue_declare((&*queue).into(), passive, Default::default()).await.unwrap();
    let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
    let exchange = format!("{prefix}.by-type.shipped");
    let fanout = ExchangeKind::Fanout;
    let there =
        client.channel.exchange_declare((&*exchange).into(), fanout, passive, Default::default());
    there.await.unwrap();
    for app in [orders, billing, shipping] {
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_event_that_no_service_listens_for_is_no_dead_letter() {
    let (url, prefix) = (rabbitmq_url(), unique("unnoticed"));
    let app = shipping(&url, &prefix, &Journal::default()).start().await.unwrap();
    app.bus().publish(Unnoticed).await.unwrap();
    app.until_idle().await.unwrap();
    let counts = app.store().unwrap().admin().counts().await.unwrap();
    assert_eq!((counts.outgoing, counts.dead_letters), (0, 0));
    app.stop().await.unwrap();
}

#[tokio::test]
async fn processes_of_one_service_share_what_they_listen_for() {
    const COUNT: u32 = 40;
    let (url, prefix, journal) = (rabbitmq_url(), unique("shared"), Journal::default());
    let processes = [
        orders(&url, &prefix, &journal).start().await.unwrap(),
        orders(&url, &prefix, &journal).start().await.unwrap(),
    ];
    let shipping = shipping(&url, &prefix, &Journal::default()).start().await.unwrap();
    for order in 0..COUNT {
        shipping.bus().publish(Shipped { order }).await.unwrap();
    }
    journal.wait_for_number(COUNT as usize).await;
    for app in processes.into_iter().chain([shipping]) {
        app.stop().await.unwrap();
    }
    assert_eq!(journal.notes().len(), COUNT as usize);
}

#[tokio::test]
async fn what_is_configured_goes_before_a_convention() {
    let (url, prefix, journal) = (rabbitmq_url(), unique("first"), Journal::default());
    let builder = orders(&url, &prefix, &journal)
        .endpoint("by-type.shipping", "rabbitmq://queue/elsewhere")
        .endpoint("events", "rabbitmq://exchange/by-type.shipped?exchange=fanout&mandatory=false")
        .publish_to::<Shipped>("events");
    let app = builder.start().await.unwrap();
    // It publishes the event, and so does not listen for it.
    assert!(app.addresses().is_empty(), "{:?}", app.addresses());
    app.bus().send(Ship { order: 7 }).await.unwrap();
    let got = Client::connect(&url).await.get(&format!("{prefix}.elsewhere")).await;
    assert_eq!(got.data, br#"{"order":7}"#);
    app.bus().publish(Shipped { order: 8 }).await.unwrap();
    journal.wait_for("shipped 8").await;
    app.until_idle().await.unwrap();
    assert_eq!(journal.notes(), ["shipped 8"]);
    app.stop().await.unwrap();
}

#[test]
fn a_service_without_a_name_and_a_transport_without_conventions_are_problems() {
    let builder = || Jasper::builder().handler(note_shipped).state(Journal::default());
    let told = |builder: Builder| builder.check().unwrap_err().to_string();
    let nameless = told(builder().conventional_routing("rabbitmq"));
    assert!(nameless.contains(".service("), "{nameless}");
    let of_tcp = told(builder().service("orders").conventional_routing("tcp"));
    assert!(of_tcp.contains("`tcp` has no conventions"), "{of_tcp}");
    let unknown = told(builder().service("orders").conventional_routing("rabbit"));
    assert!(unknown.contains("no transport `rabbit`") && unknown.contains("rabbitmq"), "{unknown}");
}

#[tokio::test]
async fn a_queue_that_is_there_otherwise_is_a_problem_at_start_at_both_ends() {
    let (url, prefix) = (rabbitmq_url(), unique("otherwise"));
    let queue = format!("{prefix}.by-type.ship");
    Client::connect(&url).await.make_queue(&queue, "classic").await;
    let journal = Journal::default();
    for builder in [shipping(&url, &prefix, &journal), orders(&url, &prefix, &journal)] {
        let told = builder.start().await.unwrap_err().to_string();
        assert!(told.contains(&queue) && told.contains("`classic` at the broker"), "{told}");
    }
}

/// A broker gives a message to its receiver some time after it has taken it from its sender.
#[tokio::test]
async fn a_tracked_session_follows_messages_over_the_broker() {
    let (url, prefix) = (rabbitmq_url(), unique("tracked"));
    let journal = Journal::default();
    let shipping = shipping(&url, &prefix, &journal).start().await.unwrap();
    let orders = orders(&url, &prefix, &journal).start().await.unwrap();
    for order in 1..6 {
        let session = orders.track().also(&shipping).until_handled::<Shipped>(1);
        let tracked = session.send(Ship { order }).await.unwrap();
        tracked.assert_no_failures();
        tracked.assert_handled::<Ship>(1);
        assert_eq!(tracked.assert_handled::<Shipped>(1)[0].order, order, "{tracked}");
    }
    shipping.stop().await.unwrap();
    orders.stop().await.unwrap();
}
