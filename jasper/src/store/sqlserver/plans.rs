//! Every statement as it was reviewed, with the names of one schema in it, and the parameters that
//! several rows make. A change of SQL shows here where no server runs.
//!
//! That each statement finds its rows through an index is read off what stands in it: keys, and the
//! predicates of the indexes. No server that the tests of this repository can start explains it.

use std::time::Duration;

use uuid::Uuid;

use super::completion::Batch;
use super::dead_letters::key_parameters;
use super::inbox::subscriptions;
use super::parameters::{Bodies, LetterParameter, ReplayParameter, json};
use super::rows::Insert;
use super::settlement::batch;
use super::sql::{Names, Sql};
use crate::envelope::time::from_micros;
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::{
    Completion, DeadLetter, DeadLetterId, DeadLetterReason, Incoming, Outgoing, OutgoingSettlement,
    Owner, Ownership, Placement, Settlement, Subscription,
};

fn sql() -> Sql {
    Sql::of(&Names::of("shop").expect("a schema"))
}

/// The same in each run of the tests.
fn envelope(number: u128) -> Envelope {
    let message_type = "shop.place-order@1".parse().expect("a type");
    let to = Address::local("orders", "place");
    let envelope = Envelope::new(message_type, "application/json", "{}".into(), to);
    let id = MessageId::from(Uuid::from_u128((0x0190 << 112) | number));
    Envelope { id, attempts: 1, sent_at: from_micros(7), ..envelope }
}

fn held(number: u128) -> Ownership {
    Ownership::of(&envelope(number), Owner::new(5))
}

fn incoming() -> Vec<Incoming> {
    let retention = Some(Duration::from_secs(60));
    vec![
        Incoming {
            envelope: Envelope { tenant_id: Some("a\0b".to_owned()), ..envelope(1) },
            placement: Placement::Owned(Owner::new(5)),
            retention,
        },
        Incoming {
            envelope: envelope(2),
            placement: Placement::Scheduled(from_micros(9)),
            retention: None,
        },
    ]
}

fn outgoing() -> Vec<Outgoing> {
    vec![Outgoing { envelope: envelope(3), owner: None }]
}

#[test]
fn every_statement_is_as_it_was_reviewed() {
    let statements: Vec<String> =
        sql().list().into_iter().map(|(name, text)| format!("-- {name}\n{text}")).collect();
    insta::assert_snapshot!(statements.join("\n----\n"));
}

#[test]
fn no_statement_has_a_place_without_a_name() {
    for (name, text) in sql().list() {
        assert!(!text.contains(['{', '}']), "{name}: {text}");
    }
}

#[test]
fn rows_are_one_parameter_and_their_bodies_another() {
    let mut bodies = Bodies::default();
    let (incoming, outgoing) = (incoming(), outgoing());
    let rows = [
        Incoming::parameter(&incoming.iter().collect::<Vec<_>>(), &mut bodies),
        Outgoing::parameter(&outgoing.iter().collect::<Vec<_>>(), &mut bodies),
    ];
    let lengths: usize = [&incoming[0].envelope, &incoming[1].envelope, &outgoing[0].envelope]
        .map(|envelope| envelope.to_bytes().len())
        .iter()
        .sum();
    assert_eq!(bodies.0.len(), lengths);
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn settlements_of_all_kinds_are_one_batch() {
    let letter = Settlement::DeadLetter {
        ownership: held(5),
        reason: DeadLetterReason::Exhausted,
        error_type: "shop::Error".to_owned(),
        error_message: "no stock".to_owned(),
    };
    let settlements = [
        Settlement::Handled(held(1)),
        Settlement::Attempt(held(2)),
        Settlement::Schedule(held(3), from_micros(8)),
        Settlement::Release { ownership: held(4), attempt_began: false },
        letter,
    ];
    let (statement, parameters) = batch(&sql(), &settlements.iter().collect::<Vec<_>>());
    insta::assert_snapshot!([statement, parameters.join("\n")].join("\n----\n"));
}

#[test]
fn settlements_of_the_outbox_are_one_batch() {
    let settlements = [
        OutgoingSettlement::Sent(held(1)),
        OutgoingSettlement::Failed(held(2)),
        OutgoingSettlement::Discarded(held(3)),
        OutgoingSettlement::Released(held(4)),
        OutgoingSettlement::Refused { ownership: held(5), error_message: "no such".to_owned() },
    ];
    let (statement, parameters) = batch(&sql(), &settlements.iter().collect::<Vec<_>>());
    insta::assert_snapshot!([statement, parameters.join("\n")].join("\n----\n"));
}

fn letter(error: &str) -> DeadLetter {
    let envelope = Envelope { group_id: Some("a \u{1F980}".to_owned()), ..envelope(6) };
    DeadLetter {
        id: DeadLetterId { id: envelope.id, destination: envelope.destination.clone() },
        reason: DeadLetterReason::Exhausted,
        message_type: envelope.message_type.to_string(),
        error_type: "shop::Error".to_owned(),
        error_message: error.to_owned(),
        attempts: 3,
        body: envelope.to_bytes(),
        dead_lettered_at: from_micros(9),
    }
}

/// What a letter is stored with.
fn stored(letter: &DeadLetter) -> String {
    let envelope = Envelope::from_bytes(&letter.body).ok();
    json(&[LetterParameter::new(letter, &letter.message_type, envelope.as_ref())])
}

#[test]
fn letters_are_asked_for_moved_and_stored_by_one_parameter() {
    let letter = letter("no stock");
    let mut bodies = Bodies::default();
    let key = (letter.id.id, letter.id.destination.clone());
    let moved = ReplayParameter::new(&key, bodies.push([b"{}", b""]));
    let keys = key_parameters(&[letter.id.clone(), letter.id.clone()]);
    insta::assert_snapshot!([keys, json(&[moved]), stored(&letter)].join("\n"));
}

#[test]
fn subscriptions_are_one_parameter_and_each_is_in_it_once() {
    let to = Address::local("orders", "place");
    let one = Subscription { destination: to, message_type: "shop.place-order@1".to_owned() };
    insta::assert_snapshot!(subscriptions(&[one.clone(), one]));
}

/// What a parameter says of a text is the text, without the one character that not all servers
/// take out of JSON.
#[test]
fn texts_of_any_characters_are_in_a_parameter_as_they_are() {
    let odd = "a\0b \u{1F980} \u{e9} \u{FFFF} \u{10FFFF} \r\n\t\u{1}\u{7f}\u{2028} ' \" \\ / %";
    let parameter: serde_json::Value =
        serde_json::from_str(&stored(&letter(odd))).expect("it is JSON");
    let text = parameter[0]["error_message"].as_str();
    assert_eq!(text, Some(&*odd.replace('\0', "\u{FFFD}")));
}

#[test]
fn a_completion_is_one_statement() {
    let completion =
        Completion { handled: Some(held(9)), incoming: incoming(), outgoing: outgoing() };
    let whole = Batch::of(&sql(), &completion).expect("the tables hold it");
    let alone = Batch::of(&sql(), &Completion::default()).expect("the tables hold it");
    insta::assert_snapshot!([whole.statement, alone.statement].join("\n----\n"));
}
