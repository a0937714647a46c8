//! Every statement as it was reviewed, with the names of one schema in it, and the parameters that
//! rows make. A change of SQL shows here where no server runs.
//!
//! That each statement finds its rows through an index is read off what stands in it: keys, and the
//! predicates of the indexes. No server that the tests of this repository can start explains it.

use std::time::Duration;

use tiberius::ColumnData;
use uuid::Uuid;

use super::batch::Batch;
use super::completion;
use super::dead_letters::{key_parameters, store_batch};
use super::inbox::subscriptions;
use super::parameters::{Bodies, HeldParameter, ReplayParameter, json};
use super::rows::Insert;
use super::settlement::batch;
use super::sql::{Names, Sql};
use crate::envelope::time::from_micros;
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::dead_letter::DeadLetterCause;
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
    let letter = |number| Settlement::DeadLetter {
        ownership: held(number),
        reason: DeadLetterReason::Exhausted,
        error_type: "shop::Error".to_owned(),
        error_message: "no stock".to_owned(),
    };
    let settlements = [
        Settlement::Handled(held(1)),
        Settlement::Attempt(held(2)),
        Settlement::Schedule(held(3), from_micros(8)),
        Settlement::Release { ownership: held(4), attempt_began: false },
        letter(5),
        letter(6),
    ];
    insta::assert_snapshot!(sent(&batch(&sql(), &settlements.iter().collect::<Vec<_>>())));
}

#[test]
fn settlements_of_the_outbox_are_one_batch() {
    let refused = |number| OutgoingSettlement::Refused {
        ownership: held(number),
        error_message: "no such".to_owned(),
    };
    let settlements = [
        OutgoingSettlement::Sent(held(1)),
        OutgoingSettlement::Failed(held(2)),
        OutgoingSettlement::Discarded(held(3)),
        OutgoingSettlement::Released(held(4)),
        refused(5),
        refused(6),
    ];
    insta::assert_snapshot!(sent(&batch(&sql(), &settlements.iter().collect::<Vec<_>>())));
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

/// What a batch is sent with. Of a body it is the length: there are ids in it that are new.
fn sent(batch: &Batch<'_>) -> String {
    let values = batch.parameters().into_iter().zip(1..).map(|(value, number)| {
        let value = match value.to_sql() {
            ColumnData::Binary(Some(bytes)) => format!("{} bytes", bytes.len()),
            value => format!("{value:?}"),
        };
        format!("@P{number}: {value}")
    });
    [batch.text.clone()].into_iter().chain(values).collect::<Vec<_>>().join("\n")
}

#[test]
fn letters_are_asked_for_and_moved_by_one_parameter() {
    let letter = letter("no stock");
    let mut bodies = Bodies::default();
    let key = (letter.id.id, letter.id.destination.clone());
    let moved = ReplayParameter::new(&key, bodies.push([b"{}", b""]));
    let keys = key_parameters(&[letter.id.clone(), letter.id]);
    insta::assert_snapshot!([keys, json(&[moved])].join("\n"));
}

#[test]
fn a_letter_is_stored_by_its_values() {
    let letter = letter("a\0 'quote'\n");
    let envelope = Envelope::from_bytes(&letter.body).ok();
    let stored = store_batch(&sql(), &letter, &letter.message_type, envelope.as_ref());
    insta::assert_snapshot!(sent(&stored));
}

#[test]
fn one_row_becomes_a_dead_letter_by_its_values() {
    let letter = Settlement::DeadLetter {
        ownership: held(5),
        reason: DeadLetterReason::Exhausted,
        error_type: "shop::Error".to_owned(),
        error_message: "a\0 'quote'\n".to_owned(),
    };
    let refused =
        OutgoingSettlement::Refused { ownership: held(6), error_message: "no such".to_owned() };
    let (sql, letter, refused) = (sql(), [&letter], [&refused]);
    let batches = [sent(&batch(&sql, &letter)), sent(&batch(&sql, &refused))];
    insta::assert_snapshot!(batches.join("\n----\n"));
}

#[test]
fn subscriptions_are_one_parameter_and_each_is_in_it_once() {
    let to = Address::local("orders", "place");
    let one = Subscription { destination: to, message_type: "shop.place-order@1".to_owned() };
    insta::assert_snapshot!(subscriptions(&[one.clone(), one]));
}

/// What a parameter of many rows says of a text is the text, without the one character that not all
/// servers take out of JSON.
#[test]
fn texts_of_any_characters_are_in_a_parameter_as_they_are() {
    let odd = "a\0b \u{1F980} \u{e9} \u{FFFF} \u{10FFFF} \r\n\t\u{1}\u{7f}\u{2028} ' \" \\ / %";
    let held = held(1);
    let cause = DeadLetterCause::of_unreadable(&held, odd);
    let parameter = json(&[HeldParameter::with_cause(&held, &cause)]);
    let parameter: serde_json::Value = serde_json::from_str(&parameter).expect("it is JSON");
    let text = parameter[0]["error_message"].as_str();
    assert_eq!(text, Some(&*odd.replace('\0', "\u{FFFD}")));
}

#[test]
fn a_completion_is_one_statement() {
    let outgoing = [outgoing(), outgoing()].concat();
    let outgoing = outgoing.into_iter().zip(3..);
    let outgoing = outgoing.map(|(row, number)| Outgoing { envelope: envelope(number), ..row });
    let handled = Some(held(9));
    let many = Completion { handled, incoming: incoming(), outgoing: outgoing.collect() };
    let (sql, alone) = (sql(), Completion::default());
    let batches = [&many, &alone]
        .map(|completion| completion::batch(&sql, completion).expect("the tables hold it").text);
    insta::assert_snapshot!(batches.join("\n----\n"));
}

#[test]
fn what_a_completion_inserts_alone_is_in_it_by_its_values() {
    let incoming = incoming().into_iter().take(1).collect();
    let completion = Completion { handled: Some(held(9)), incoming, outgoing: outgoing() };
    let batch = completion::batch(&sql(), &completion).expect("the tables hold it");
    insta::assert_snapshot!(sent(&batch));
}
