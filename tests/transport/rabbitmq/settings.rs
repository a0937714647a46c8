//! Where the broker is, and what is refused before anything is opened.

use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::transport::rabbitmq::{RabbitMq, Tls};
use jasper::transport::{Batch, Guarantee, Transport};
use jasper::{Builder, Config};
use tests::Journal;
use tests::servers::{Server, rabbitmq_url};

use crate::bench::{Client, note, receiver, sender, unique};

fn told(builder: Builder) -> String {
    builder.check().unwrap_err().to_string()
}

fn with(transport: RabbitMq, address: &str) -> Builder {
    let builder = Jasper::builder().handler(nothing).store(MemoryStore::new());
    builder.transport(transport).listen(address)
}

#[test]
fn a_broker_that_is_not_configured_is_told_with_all_ways_to_do_it() {
    let told = told(with(RabbitMq::new(), "rabbitmq://queue/a?broker=billing"));
    for expected in ["JASPER_BROKER_RABBITMQ_BILLING", "rabbitmq-billing = ", "`billing`"] {
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn plain_text_beyond_this_machine_is_refused_unless_it_is_allowed() {
    let far = || RabbitMq::at("amqp://shop:hidden@10.1.2.3/sales");
    let refused = told(with(far(), "rabbitmq://queue/a"));
    assert!(refused.contains("in the clear") && refused.contains("amqp://10.1.2.3:5672/sales"));
    assert!(!refused.contains("hidden"), "{refused}");
    let allowed = with(far().allow_plaintext_beyond_loopback(), "rabbitmq://queue/a");
    assert!(allowed.check().is_ok());
    let no_roots = with(RabbitMq::at("amqps://10.1.2.3"), "rabbitmq://queue/a");
    assert!(told(no_roots).contains("give the transport `.tls(…)`"));
    let empty = RabbitMq::at("amqps://10.1.2.3").tls(Tls::new());
    assert!(told(with(empty, "rabbitmq://queue/a")).contains("no roots"));
}

#[test]
fn an_address_that_cannot_be_read_is_told_without_it() {
    let told = told(with(RabbitMq::at("shop:hidden@host"), "rabbitmq://queue/a"));
    assert!(told.contains("amqp://user:password@host") && !told.contains("hidden"), "{told}");
}

#[test]
fn a_broker_of_a_transport_that_is_not_there_is_a_mistake() {
    let config = Config::from_toml("[brokers]\nkafka = \"kafka://h\"").unwrap();
    let told = told(Jasper::builder().handler(nothing).config(config));
    assert!(told.contains("`kafka`") && told.contains("rabbitmq"), "{told}");
}

#[tokio::test]
async fn the_environment_and_a_file_say_where_the_broker_is() {
    let (url, queue, journal) = (rabbitmq_url(), unique("config"), Journal::default());
    let address = format!("rabbitmq://queue/{queue}");
    // Nothing is at the address of the builder.
    let nowhere = "amqp://127.0.0.1:1";
    let file = Config::from_toml(&format!("[brokers]\nrabbitmq = \"{url}\"")).unwrap();
    let receiver = receiver(nowhere, &journal).config(file).listen(&*address);
    let receiver = receiver.start().await.unwrap();
    let variable = ("JASPER_BROKER_RABBITMQ_OTHER".to_owned(), url);
    let environment = Config::from_vars([variable]);
    let sender = sender(nowhere, &format!("{address}?broker=other")).config(environment);
    let sender = sender.start().await.unwrap();
    sender.bus().send(note("found")).await.unwrap();
    journal.wait_for("found").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_virtual_host_are_problems_at_start() {
    let url = rabbitmq_url();
    let wrong = url.replace(":guest@", ":hidden@");
    let error = sender(&wrong, "rabbitmq://queue/a").start().await.unwrap_err().to_string();
    assert!(error.contains("ACCESS_REFUSED") && !error.contains("hidden"), "{error}");
    let error = receiver(&format!("{url}/nowhere"), &Journal::default());
    let error = error.listen("rabbitmq://queue/a").start().await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[tokio::test]
async fn two_virtual_hosts_of_one_broker_are_two_brokers() {
    let server = Server::rabbitmq().await;
    server.control(&["add_vhost", "sales"]).await;
    server.control(&["set_permissions", "-p", "sales", "guest", ".*", ".*", ".*"]).await;
    let sales = format!("{}/sales", server.url());
    let transport = RabbitMq::at(server.url()).broker("sales", &*sales);
    let journal = Journal::default();
    let address = "rabbitmq://queue/notes";
    let receiver = receiver(&sales, &journal).listen(address).start().await.unwrap();
    let builder = Jasper::builder().store(MemoryStore::new()).transport(transport);
    let builder = builder.endpoint("notes", "rabbitmq://queue/notes?broker=sales");
    let sender = builder.handler(nothing).start().await.unwrap();
    sender.bus().send(note("to sales")).await.unwrap();
    journal.wait_for("to sales").await;
    let usual = Client::connect(server.url()).await;
    let options = lapin::options::QueueDeclareOptions { passive: true, ..Default::default() };
    let there = usual.channel.queue_declare("notes".into(), options, Default::default()).await;
    assert!(there.is_err(), "the usual virtual host has no such queue");
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[derive(Event, serde::Serialize, serde::Deserialize)]
#[event(name = "rabbit.set")]
struct Set;

#[handler]
async fn nothing(_event: Set) {}

#[tokio::test]
async fn the_error_of_the_system_or_of_the_client_is_the_source() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("amqp://guest:guest@{free}");
    let wrong = rabbitmq_url().replace(":guest@", ":wrong@");
    let source = async |broker: &str| {
        let uri = "rabbitmq://queue/a".parse().unwrap();
        let sender = RabbitMq::at(broker).sender(&uri).unwrap();
        let batch = Batch { envelopes: Vec::new(), guarantee: Guarantee::InMemory };
        let error = sender.send(batch).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        (error.kind(), source.downcast_ref().map(std::io::Error::kind))
    };
    let refused = Some(std::io::ErrorKind::ConnectionRefused);
    assert_eq!(source(&away).await, ("unreachable", refused));
    assert_eq!(source(&wrong).await, ("rejected", None));
}
