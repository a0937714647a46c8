//! Streams, in which everything stays that was sent.

use jasper::prelude::*;
use lapin::BasicProperties;
use tests::Journal;
use tests::proxy::Proxy;
use tests::servers::rabbitmq_url;

use crate::bench::{Client, note, receiver, sender, unique};

/// Reads this stream from there, as a listener that has read nothing yet.
async fn listening(url: &str, stream: &str, offset: &str, journal: &Journal) -> Jasper {
    let address = format!("rabbitmq://queue/{stream}?queue=stream&offset={offset}");
    receiver(url, journal).listen(address).start().await.unwrap()
}

#[tokio::test]
async fn every_listener_reads_a_stream_from_where_it_says() {
    let (url, stream) = (rabbitmq_url(), unique("stream"));
    let sender = sender(&url, &format!("rabbitmq://queue/{stream}?queue=stream"));
    let sender = sender.start().await.unwrap();
    for text in ["0", "1", "2"] {
        sender.bus().send(note(text)).await.unwrap();
        // One after the other, so that each has its place.
        sender.until_idle().await.unwrap();
    }
    let [all, rest, new] = [Journal::default(), Journal::default(), Journal::default()];
    let apps = [
        listening(&url, &stream, "first", &all).await,
        listening(&url, &stream, "1", &rest).await,
        listening(&url, &stream, "next", &new).await,
    ];
    all.wait_for_number(3).await;
    rest.wait_for_number(2).await;
    sender.bus().send(note("3")).await.unwrap();
    for journal in [&all, &rest, &new] {
        journal.wait_for("3").await;
    }
    assert_eq!(all.sorted(), ["0", "1", "2", "3"]);
    assert_eq!(rest.sorted(), ["1", "2", "3"]);
    assert_eq!(new.sorted(), ["3"]);
    sender.stop().await.unwrap();
    for app in apps {
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_listener_that_loses_its_connection_goes_on_behind_what_it_has_read() {
    let (url, stream, journal) = (rabbitmq_url(), unique("cut"), Journal::default());
    let sender = sender(&url, &format!("rabbitmq://queue/{stream}?queue=stream"));
    let sender = sender.start().await.unwrap();
    let proxy = Proxy::in_front_of(&url).await;
    // It would miss what is sent while it is away if it began anew, or read the first ones twice.
    let app = listening(&proxy.url(&url), &stream, "next", &journal).await;
    for text in ["0", "1", "2", "3"] {
        sender.bus().send(note(text)).await.unwrap();
        journal.wait_for(text).await;
        proxy.cut_all();
    }
    assert_eq!(journal.sorted(), ["0", "1", "2", "3"]);
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn messages_without_an_id_are_known_by_their_place_when_a_stream_is_read_again() {
    let (url, stream, journal) = (rabbitmq_url(), unique("again"), Journal::default());
    let app = listening(&url, &stream, "first", &journal).await;
    let client = Client::connect(&url).await;
    let properties = || BasicProperties::default().with_type("rabbit.note".into());
    client.publish(&stream, r#"{"text":"once"}"#, properties()).await;
    journal.wait_for("once").await;
    app.until_idle().await.unwrap();
    // What it has read by now is not known to another listener, but to the store.
    let address = format!("rabbitmq://queue/{stream}?queue=stream&offset=first&name=again");
    assert!(receiver(&url, &journal).listen(address).check().is_err(), "`name` is for topics");
    app.pause_listeners().await;
    app.resume_listeners().await.unwrap();
    client.publish(&stream, r#"{"text":"last"}"#, properties()).await;
    journal.wait_for("last").await;
    app.until_idle().await.unwrap();
    assert_eq!(journal.sorted(), ["last", "once"]);
    app.stop().await.unwrap();
}
