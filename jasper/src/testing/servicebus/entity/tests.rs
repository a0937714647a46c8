//! The states of messages and the passing of time, which is only a number here.

use std::time::Duration;

use fe2o3_amqp_types::messaging::{Header, Properties};

use super::super::letter::{self, Letter};
use super::super::settings::EntitySettings;
use super::super::settlement::Settlement;
use super::Entity;

const SECOND: i64 = 1000;

fn letter(id: &str, session: Option<&str>) -> Letter {
    let empty = letter::decode(b"\x00\x53\x75\xa0\x00").expect("a section of data");
    let properties = Properties {
        message_id: Some(id.to_owned().into()),
        group_id: session.map(str::to_owned),
        ..Properties::default()
    };
    Letter { properties: Some(properties), ..empty }
}

fn schedule(letter: &mut Letter, at: i64) {
    let annotations = letter.message_annotations.get_or_insert_default();
    letter::annotate(annotations, "x-opt-scheduled-enqueue-time", letter::timestamp(at));
}

fn entity(settings: EntitySettings) -> Entity {
    Entity::new(settings.lock_duration(Duration::from_secs(30)))
}

#[test]
fn a_lock_holds_until_its_time_and_then_costs_a_delivery() {
    let mut queue = entity(EntitySettings::new());
    queue.enqueue(letter("a", None), 0);
    let first = queue.take(None, true, 0).unwrap().token;
    assert!(!queue.advance(30 * SECOND - 1));
    assert!(queue.take(None, true, 30 * SECOND - 1).is_none());
    assert!(queue.advance(30 * SECOND));
    let again = queue.take(None, true, 30 * SECOND).unwrap();
    assert_eq!(again.message.delivery_count, 1);
    let again = again.token;
    queue.settle(first, Settlement::Complete, 30 * SECOND).unwrap_err();
    queue.settle(again, Settlement::Complete, 30 * SECOND).unwrap();
    let counts = queue.counts();
    assert_eq!((counts.expired_locks, counts.late_settlements, counts.completed), (1, 1, 1));
}

#[test]
fn a_renewed_lock_holds_longer_and_a_lost_one_is_not_renewed() {
    let mut queue = entity(EntitySettings::new());
    queue.enqueue(letter("a", None), 0);
    let token = queue.take(None, true, 0).unwrap().token;
    assert_eq!(queue.renew(token, 20 * SECOND).unwrap(), 50 * SECOND);
    queue.advance(49 * SECOND);
    assert_eq!(queue.counts().locked, 1);
    queue.renew(token, 50 * SECOND).unwrap_err();
    assert_eq!(queue.counts().active, 1);
}

#[test]
fn the_last_failed_delivery_makes_a_dead_letter() {
    let mut queue = entity(EntitySettings::new().max_delivery_count(2));
    queue.enqueue(letter("a", None), 0);
    for _ in 0..2 {
        let token = queue.take(None, true, 0).unwrap().token;
        queue.settle(token, Settlement::Abandon(Vec::new()), 0).unwrap();
    }
    assert!(queue.take(None, true, 0).is_none());
    let dead = queue.dead_letters_mut().unwrap().take(None, true, 0).unwrap().message;
    let reason = letter::text_property(&dead.letter, "DeadLetterReason");
    assert_eq!((reason, dead.delivery_count), (Some("MaxDeliveryCountExceeded"), 2));
}

#[test]
fn a_release_costs_no_delivery() {
    let mut queue = entity(EntitySettings::new().max_delivery_count(1));
    queue.enqueue(letter("a", None), 0);
    let token = queue.take(None, true, 0).unwrap().token;
    queue.settle(token, Settlement::Release, 0).unwrap();
    assert_eq!(queue.take(None, true, 0).unwrap().message.delivery_count, 0);
}

#[test]
fn sessions_are_held_by_one_receiver_each_and_free_after_their_release() {
    let mut queue = entity(EntitySettings::new().requires_session());
    for (id, session) in [("1", "red"), ("2", "green"), ("3", "red")] {
        queue.enqueue(letter(id, Some(session)), 0);
    }
    assert_eq!(queue.lock_next_session(1, 0).unwrap().0, "red");
    assert_eq!(queue.lock_next_session(2, 0).unwrap().0, "green");
    assert!(queue.lock_next_session(3, 0).is_none());
    queue.lock_session("red", 3, 0).unwrap_err();
    let first = queue.take(Some("red"), true, 0).unwrap();
    assert_eq!(letter::message_id(&first.message.letter).as_deref(), Some("1"));
    queue.release_session("red", 2);
    assert!(queue.holds_session("red", 1));
    queue.release_session("red", 1);
    assert_eq!(queue.lock_next_session(3, 0).unwrap().0, "red");
    let again = queue.take(Some("red"), true, 0).unwrap().message;
    assert_eq!((again.sequence, again.delivery_count), (1, 0));
}

#[test]
fn the_end_of_a_session_lock_gives_its_messages_back_as_failed() {
    let mut queue = entity(EntitySettings::new().requires_session());
    queue.enqueue(letter("1", Some("red")), 0);
    queue.lock_session("red", 1, 0).unwrap();
    let token = queue.take(Some("red"), true, 0).unwrap().token;
    assert_eq!(queue.renew_session("red", 20 * SECOND).unwrap(), 50 * SECOND);
    queue.set_session_state("red", Some(b"half".to_vec()), 20 * SECOND).unwrap();
    assert!(queue.advance(50 * SECOND));
    assert!(!queue.holds_session("red", 1));
    queue.settle(token, Settlement::Complete, 50 * SECOND).unwrap_err();
    queue.set_session_state("red", None, 50 * SECOND).unwrap_err();
    assert_eq!(queue.session_state("red"), Some(&b"half"[..]));
    queue.lock_session("red", 2, 50 * SECOND).unwrap();
    assert_eq!(queue.take(Some("red"), true, 50 * SECOND).unwrap().message.delivery_count, 1);
}

#[test]
fn a_message_without_a_session_is_refused_where_sessions_are_required() {
    let queue = entity(EntitySettings::new().requires_session());
    queue.check(&letter("1", None)).unwrap_err();
    queue.check(&letter("1", Some("red"))).unwrap();
}

#[test]
fn a_scheduled_message_comes_in_its_time_under_a_new_number() {
    let mut queue = entity(EntitySettings::new());
    let mut scheduled = letter("a", None);
    schedule(&mut scheduled, 10);
    let number = queue.enqueue(scheduled.clone(), 0).unwrap();
    assert!(queue.take(None, true, 9).is_none());
    assert_eq!(queue.next_deadline(), Some(10));
    assert!(queue.advance(10));
    assert_ne!(queue.take(None, true, 10).unwrap().message.sequence, number);
    queue.cancel(number).unwrap_err();
    schedule(&mut scheduled, 20);
    let number = queue.enqueue(scheduled, 10).unwrap();
    queue.cancel(number).unwrap();
    queue.advance(20);
    assert_eq!((queue.counts().active, queue.counts().scheduled), (0, 0));
}

#[test]
fn a_repeat_is_dropped_within_the_window_and_taken_after_it() {
    let window = Duration::from_secs(10);
    let mut queue = entity(EntitySettings::new().duplicate_detection(window));
    assert!(queue.enqueue(letter("a", None), 0).is_some());
    assert!(queue.enqueue(letter("a", None), 10 * SECOND - 1).is_none());
    assert!(queue.enqueue(letter("b", None), 10 * SECOND - 1).is_some());
    assert!(queue.enqueue(letter("a", None), 10 * SECOND).is_some());
}

#[test]
fn an_expired_message_is_dropped_or_a_dead_letter() {
    for (settings, dead_lettered) in
        [(EntitySettings::new(), 0), (EntitySettings::new().dead_letter_expired(), 1)]
    {
        let mut queue = entity(settings);
        let mut expiring = letter("a", None);
        expiring.header = Some(Header { ttl: Some(5), ..Header::default() });
        queue.enqueue(expiring, 0);
        assert!(queue.take(None, true, 5).is_none());
        assert_eq!((queue.counts().active, queue.counts().dead_lettered), (0, dead_lettered));
    }
}
