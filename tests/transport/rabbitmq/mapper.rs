//! Messages that are nothing like an envelope, and what the application makes of them.

use std::str;

use jasper::Message;
use jasper::envelope::{Address, Envelope};
use jasper::store::DeadLetterReason;
use jasper::transport::rabbitmq::RabbitMq;
use jasper::transport::{EnvelopeMapper, ForeignMessage, MapperError};
use lapin::BasicProperties;
use tests::Journal;
use tests::servers::rabbitmq_url;

use crate::bench::{Client, Note, letter, note, receiver_by, sender_by, unique};
use crate::foreign::pika;

/// Notes of a program of another time: `7;teapot` in Latin letters, with no type.
#[derive(Debug)]
struct Legacy;

impl EnvelopeMapper for Legacy {
    fn read(
        &self,
        message: &ForeignMessage,
        listener: &Address,
    ) -> Result<Option<Envelope>, MapperError> {
        if message.kind.is_some() {
            return Ok(None);
        }
        let text = str::from_utf8(&message.body)?;
        assert!(!text.starts_with('!'), "this one is for the test of panics");
        let (number, what) = text.split_once(';').ok_or("a note is `number;text`")?;
        let shop = message.headers.get("shop").unwrap_or("no shop");
        let payload = serde_json::to_vec(&note(format!("{number} {what} of {shop}")))?;
        Ok(Some(message.envelope(Note::TYPE, "application/json", payload, listener)))
    }

    fn write(&self, envelope: &Envelope) -> Result<Option<ForeignMessage>, MapperError> {
        let note: Note = serde_json::from_slice(&envelope.payload)?;
        let mut message = match note.text.split_once(' ') {
            _ if note.text == "as usual" => return Ok(None),
            Some((number, what)) => ForeignMessage::new(format!("{number};{what}")),
            None => return Err("a note has a number".into()),
        };
        message.content_type = Some("text/legacy".to_owned());
        message.routing_key = Some("notes.legacy".to_owned());
        message.kind = (note.text.len() > 99).then_some(note.text);
        message.headers.insert("shop", "jasper");
        Ok(Some(message))
    }
}

fn mapped(url: &str) -> RabbitMq {
    RabbitMq::at(url).mapper("legacy", Legacy)
}

#[tokio::test]
async fn a_program_in_python_with_messages_of_its_own_kind_sends_and_receives() {
    let (url, queue, journal) = (rabbitmq_url(), unique("legacy"), Journal::default());
    let app = receiver_by(mapped(&url), &journal);
    let app = app.listen(format!("rabbitmq://queue/{queue}?mapper=legacy")).start().await.unwrap();
    // The first of them twice, under one id.
    pika("send-legacy", &url, &queue).await;
    journal.wait_for("8 kettle of no shop").await;
    app.until_idle().await.unwrap();
    assert_eq!(journal.sorted(), ["7 teapot of Sèvres", "8 kettle of no shop"]);
    app.stop().await.unwrap();
    let back = unique("to-legacy");
    let app = sender_by(mapped(&url), &format!("rabbitmq://queue/{back}?mapper=legacy"));
    let app = app.start().await.unwrap();
    app.bus().send(note("9 cup")).await.unwrap();
    let printed = pika("receive-legacy", &url, &back).await;
    assert_eq!(printed, "9;cup text/legacy jasper\n");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_mapper_does_not_take_or_panics_at_is_kept_with_its_words_and_others_go_on() {
    for (body, words) in [("no number", "a note is `number;text`"), ("!;", "it panicked")] {
        let (url, queue, journal) = (rabbitmq_url(), unique("not-taken"), Journal::default());
        let address = format!("rabbitmq://queue/{queue}?mapper=legacy");
        let app = receiver_by(mapped(&url), &journal).listen(address).start().await.unwrap();
        let client = Client::connect(&url).await;
        client.publish(&queue, body, BasicProperties::default()).await;
        client.publish(&queue, "7;teapot", BasicProperties::default()).await;
        journal.wait_for("7 teapot of no shop").await;
        let letter = letter(&app).await;
        assert_eq!(letter.reason, DeadLetterReason::Undecodable);
        assert_eq!(&letter.body[..], body.as_bytes());
        assert!(letter.error_message.contains(words), "{}", letter.error_message);
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_mapper_cannot_send_is_a_dead_letter_of_its_sender_and_others_go_on() {
    let long = format!("1 {}", "x".repeat(255));
    for (text, words) in [("nothing", "a note has a number"), (&*long, "a kind of 257 bytes")] {
        let (url, queue) = (rabbitmq_url(), unique("not-sent"));
        let address = format!("rabbitmq://queue/{queue}?mapper=legacy");
        let app = sender_by(mapped(&url), &address).start().await.unwrap();
        app.bus().send_all([text, "8 kettle"].map(note)).await.unwrap();
        let letter = letter(&app).await;
        assert_eq!(letter.reason, DeadLetterReason::Refused);
        assert!(letter.error_message.contains(words), "{}", letter.error_message);
        assert_eq!(Client::connect(&url).await.get(&queue).await.data, b"8;kettle");
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn where_a_mapper_says_nothing_a_message_travels_as_without_it() {
    let (url, queue, journal) = (rabbitmq_url(), unique("usual"), Journal::default());
    let address = format!("rabbitmq://queue/{queue}?mapper=legacy");
    let receiver = receiver_by(mapped(&url), &journal).listen(&*address).start().await.unwrap();
    let sender = sender_by(mapped(&url), &address).start().await.unwrap();
    sender.bus().send(note("as usual")).await.unwrap();
    journal.wait_for("as usual").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_mapper_chooses_the_routing_key_where_the_address_has_none() {
    let (url, exchange, journal) = (rabbitmq_url(), unique("keyed"), Journal::default());
    let listen = format!("rabbitmq://topic/{exchange}/*.legacy?name={exchange}&mapper=legacy");
    let receiver = receiver_by(mapped(&url), &journal).listen(listen).start().await.unwrap();
    let address = format!("rabbitmq://exchange/{exchange}?mapper=legacy");
    let sender = sender_by(mapped(&url), &address).start().await.unwrap();
    sender.bus().send(note("3 spoons")).await.unwrap();
    journal.wait_for("3 spoons of jasper").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}
