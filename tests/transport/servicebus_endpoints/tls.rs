//! Namespaces under TLS, with the settings that the other transports have.

use jasper::testing::servicebus::Broker;
use jasper::transport::servicebus::{Declare, ServiceBus, Tls};
use tests::{Certified, Journal, certified};

use crate::bench::{ADDRESS, QUEUE, note, problem_of, receiver_by, sender_by, settings};

async fn broker(certified: &Certified) -> Broker {
    let (chain, key) = (certified.chain.as_bytes(), certified.key.as_bytes());
    let broker = Broker::builder().certificate_pem(chain, key).start().await.unwrap();
    broker.create_queue(QUEUE, settings()).unwrap();
    broker
}

fn transport(broker: &Broker, certified: &Certified) -> ServiceBus {
    let tls = Tls::new().roots_pem(certified.root.as_bytes()).unwrap();
    ServiceBus::at(broker.connection_string_of("localhost")).tls(tls)
}

#[tokio::test]
async fn messages_and_the_management_travel_under_tls() {
    let (certified, journal) = (certified("localhost"), Journal::default());
    let broker = broker(&certified).await;
    let transport = || transport(&broker, &certified).declare(Declare::Provision);
    let address = "asb://queue/made";
    let receiver = receiver_by(transport(), &journal).listen(address).start().await.unwrap();
    let sender = sender_by(transport(), address).start().await.unwrap();
    for number in 0..100 {
        sender.bus().send(note(format!("{number}"))).await.unwrap();
    }
    journal.wait_for_number(100).await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_is_refused() {
    let (right, wrong) = (certified("another.host"), certified("localhost"));
    let broker = broker(&right).await;
    for (trusted, expected) in [(&right, "NotValidForName"), (&wrong, "UnknownIssuer")] {
        let sender = sender_by(transport(&broker, trusted), ADDRESS).start().await.unwrap();
        sender.bus().send(note("kept")).await.unwrap();
        let problem = problem_of(&sender).await;
        assert!(problem.contains(expected) || problem.contains("certificate"), "{problem}");
        sender.stop().await.unwrap();
        assert_eq!(broker.counts(QUEUE).sent, 0);
    }
}
