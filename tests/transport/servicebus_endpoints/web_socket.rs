//! AMQP through a WebSocket.

use jasper::testing::servicebus::Broker;
use jasper::transport::servicebus::{Declare, ServiceBus, Tls};
use tests::{Journal, certified};

use crate::bench::{ADDRESS, broker, note, receiver_by, sender_by, settings};

async fn carries(transport: impl Fn() -> ServiceBus) {
    let journal = Journal::default();
    let app = receiver_by(transport(), &journal).listen(ADDRESS).start().await.unwrap();
    let sender = sender_by(transport(), ADDRESS).start().await.unwrap();
    let large = "x".repeat(200_000);
    sender.bus().send(note(&*large)).await.unwrap();
    journal.wait_for(&large).await;
    for number in 1..100 {
        sender.bus().send(note(format!("{number}"))).await.unwrap();
    }
    journal.wait_for_number(100).await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn messages_large_and_small_go_through_a_web_socket() {
    let broker = broker(settings()).await;
    carries(|| ServiceBus::at(broker.web_socket_connection_string("127.0.0.1"))).await;
}

#[tokio::test]
async fn they_do_under_tls_too() {
    let certified = certified("localhost");
    let (chain, key) = (certified.chain.as_bytes(), certified.key.as_bytes());
    let broker = Broker::builder().certificate_pem(chain, key).start().await.unwrap();
    let tls = Tls::new().roots_pem(certified.root.as_bytes()).unwrap();
    let place = broker.web_socket_connection_string("localhost");
    let transport = || ServiceBus::at(&*place).tls(tls.clone()).declare(Declare::Provision);
    carries(transport).await;
}

#[tokio::test]
async fn a_web_socket_that_is_cut_is_opened_anew() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let transport = || ServiceBus::at(broker.web_socket_connection_string("127.0.0.1"));
    let app = receiver_by(transport(), &journal).listen(ADDRESS).start().await.unwrap();
    let sender = sender_by(transport(), ADDRESS).start().await.unwrap();
    for text in ["before", "after"] {
        sender.bus().send(note(text)).await.unwrap();
        journal.wait_for(text).await;
        broker.faults().cut_connections();
    }
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}
