//! In which order claims, looks and what is given back may come.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::asking::MARGIN;
use super::reach::MOST_RETURNED;
use super::state::{LONG, LONGEST_PAUSE};
use super::*;

const NOW: i64 = 1_000_000_000;

const PAIR: &str = "pair";

type TestFrontier = Frontier<&'static str>;

/// One that has looked at a row of each pair that waits, and found it at 100.
fn looked(many: usize, cost: Duration) -> TestFrontier {
    let frontier = Frontier { many, ..Frontier::default() };
    frontier.takes(&[PAIR]);
    let (asking, scope, _) = frontier.look();
    assert!(matches!(scope, Scope::Full), "the first look is full");
    asking.looked(NOW, cost, NOW, &HashMap::from([(PAIR, 100)]), |_| true);
    frontier
}

/// The same after a claim up to 500.
fn claimed() -> TestFrontier {
    let frontier = looked(0, LONG);
    claim(&frontier, 10, 500, false);
    frontier
}

fn ends(frontier: &TestFrontier) -> Vec<(i64, i64)> {
    let ranges = frontier.claim(&[PAIR]).1.into_iter();
    ranges.map(|range| (range.since, range.until)).collect()
}

fn claim(frontier: &TestFrontier, rows: usize, last: i64, all: bool) {
    let (asking, ranges) = frontier.claim(&[PAIR]);
    asking.claimed(&ranges, rows, last, all);
}

fn put_back(frontier: &TestFrontier, sent_at: impl IntoIterator<Item = i64>) {
    frontier.change().note(sent_at.into_iter().map(|at| RowAvailability::Unowned(PAIR, at)));
}

const fn scheduled(due_at: i64) -> RowAvailability<&'static str> {
    RowAvailability::Scheduled { due_at, is_notified: false }
}

fn is_full(frontier: &TestFrontier) -> bool {
    matches!(frontier.look().1, Scope::Full)
}

/// As if the last full look had ended so much earlier.
fn pass(frontier: &TestFrontier, time: Duration) {
    let mut state = frontier.state();
    let ended = |(at, cost): (Instant, Duration)| Some((at.checked_sub(time)?, cost));
    state.full = state.full.and_then(ended);
}

#[test]
fn few_rows_are_claimed_from_the_start() {
    let frontier = looked(10, Duration::ZERO);
    claim(&frontier, 9, 200, false);
    assert_eq!(ends(&frontier), [(i64::MIN, i64::MAX)]);
    assert!(is_full(&frontier));
}

#[test]
fn many_rows_are_claimed_past_the_last_and_those_of_its_time_again() {
    let frontier = looked(10, Duration::ZERO);
    claim(&frontier, 10, 200, false);
    assert_eq!(ends(&frontier), [(200, i64::MAX)]);
    claim(&frontier, 10, 300, false);
    assert_eq!(ends(&frontier), [(300, i64::MAX)]);
    assert!(!is_full(&frontier));
}

#[test]
fn where_a_look_took_long_the_first_claim_begins_at_what_it_found() {
    let frontier = looked(usize::MAX, LONG);
    assert_eq!(ends(&frontier), [(100, i64::MAX)]);
}

#[test]
fn what_is_given_back_is_asked_for_until_it_was_claimed() {
    let frontier = claimed();
    put_back(&frontier, [200, 600, 300]);
    assert_eq!(ends(&frontier), [(200, 200), (300, 300), (500, i64::MAX)]);
    claim(&frontier, 1, 200, false);
    // There may be more of that time.
    assert_eq!(ends(&frontier), [(200, 200), (300, 300), (500, i64::MAX)]);
    claim(&frontier, 2, 300, false);
    assert_eq!(ends(&frontier), [(300, 300), (500, i64::MAX)]);
    claim(&frontier, 1, 300, true);
    assert_eq!(ends(&frontier), [(500, i64::MAX)]);
}

#[test]
fn what_is_given_back_during_a_claim_is_not_lost() {
    let frontier = claimed();
    put_back(&frontier, [200]);
    let (asking, ranges) = frontier.claim(&[PAIR]);
    put_back(&frontier, [200]);
    asking.claimed(&ranges, 1, 700, true);
    assert_eq!(ends(&frontier), [(200, 200), (700, i64::MAX)]);
}

#[test]
fn a_claim_does_not_go_past_what_was_given_back_meanwhile() {
    let frontier = claimed();
    let (asking, ranges) = frontier.claim(&[PAIR]);
    put_back(&frontier, [650, 600, 800]);
    asking.claimed(&ranges, 9, 700, false);
    assert_eq!(ends(&frontier), [(600, i64::MAX)]);
    claim(&frontier, 9, 900, false);
    assert_eq!(ends(&frontier), [(900, i64::MAX)], "that one has seen it");
}

#[test]
fn a_claim_from_the_start_does_not_go_past_what_was_given_back_meanwhile() {
    let frontier = looked(10, Duration::ZERO);
    let (asking, ranges) = frontier.claim(&[PAIR]);
    assert_eq!(ranges[0].since, i64::MIN);
    put_back(&frontier, [150]);
    asking.claimed(&ranges, 10, 200, false);
    assert_eq!(ends(&frontier), [(150, i64::MAX)]);
}

#[test]
fn a_claim_from_the_start_does_not_undo_what_a_look_has_found_meanwhile() {
    let frontier = looked(10, Duration::ZERO);
    claim(&frontier, 9, 500, false);
    let (asking, ranges) = frontier.claim(&[PAIR]);
    put_back(&frontier, [200]);
    let (look, scope, _) = frontier.look();
    assert!(matches!(scope, Scope::Full));
    look.looked(NOW, LONG, NOW, &HashMap::from([(PAIR, 50)]), |_| true);
    asking.claimed(&ranges, 10, 600, false);
    assert_eq!(ends(&frontier), [(50, i64::MAX)]);
}

#[test]
fn a_look_does_not_go_past_what_was_given_back_meanwhile() {
    let frontier = claimed();
    let (asking, scope, _) = frontier.look();
    let Scope::Known(ranges) = scope else { panic!("full looks are dear") };
    put_back(&frontier, [600]);
    asking.looked_at(&ranges, &HashMap::from([(0, 700)]), NOW);
    assert_eq!(ends(&frontier), [(600, i64::MAX)]);
}

#[test]
fn a_full_look_does_not_go_past_what_was_given_back_meanwhile() {
    for found in [HashMap::new(), HashMap::from([(PAIR, 700)])] {
        let frontier = claimed();
        pass(&frontier, LONGEST_PAUSE);
        let (asking, scope, _) = frontier.look();
        assert!(matches!(scope, Scope::Full));
        put_back(&frontier, [200, 600]);
        asking.looked(NOW, LONG, NOW, &found, |_| true);
        assert_eq!(ends(&frontier), [(200, 200), (600, i64::MAX)]);
    }
}

#[test]
fn a_look_does_not_go_past_what_was_scheduled_meanwhile() {
    let frontier = claimed();
    let (asking, scope, _) = frontier.look();
    let Scope::Known(ranges) = scope else { panic!("full looks are dear") };
    frontier.change().note([scheduled(NOW + 10)]);
    asking.looked_at(&ranges, &HashMap::new(), NOW + 20);
    assert_eq!(frontier.look().2, NOW + 10);
}

#[test]
fn a_claim_that_fails_changes_nothing() {
    let frontier = claimed();
    drop(frontier.claim(&[PAIR]));
    assert_eq!(ends(&frontier), [(500, i64::MAX)]);
    assert!(frontier.state().under_way.is_empty());
}

#[test]
fn more_than_is_remembered_begins_at_the_oldest() {
    let frontier = looked(0, LONG);
    claim(&frontier, 10, NOW, false);
    let (asking, ranges) = frontier.claim(&[PAIR]);
    put_back(&frontier, (0..=MOST_RETURNED as i64).map(|at| 1_000 + at));
    assert_eq!(ends(&frontier), [(1_000, i64::MAX)]);
    asking.claimed(&ranges, 1, NOW + 1, true);
    assert_eq!(ends(&frontier), [(1_000, i64::MAX)], "that claim began later");
}

#[test]
fn a_full_look_that_finds_something_older_begins_there() {
    let frontier = claimed();
    frontier.start_over();
    pass(&frontier, LONG);
    frontier.look().0.looked(NOW, LONG, NOW, &HashMap::from([(PAIR, 50)]), |_| true);
    assert_eq!(ends(&frontier), [(50, i64::MAX)]);
    frontier.look().0.looked(NOW, LONG, NOW, &HashMap::new(), |_| true);
    assert_eq!(ends(&frontier), [(NOW - MARGIN, i64::MAX)]);
}

#[test]
fn after_an_unknown_change_the_next_look_is_full() {
    let frontier = looked(0, Duration::ZERO);
    assert!(!is_full(&frontier));
    frontier.start_over();
    assert!(is_full(&frontier));
}

#[test]
fn an_unknown_change_during_a_full_look_leads_to_another_one() {
    let frontier = looked(0, Duration::ZERO);
    pass(&frontier, LONGEST_PAUSE);
    let (asking, scope, _) = frontier.look();
    assert!(matches!(scope, Scope::Full));
    frontier.start_over();
    asking.looked(NOW, Duration::ZERO, NOW, &HashMap::new(), |_| true);
    assert!(is_full(&frontier));
    frontier.look().0.looked(NOW, Duration::ZERO, NOW, &HashMap::new(), |_| true);
    assert!(!is_full(&frontier), "that one has seen it");
}

#[test]
fn where_full_looks_are_dear_others_come_between_them_whatever_changes() {
    let frontier = looked(0, LONG);
    frontier.start_over();
    assert!(!is_full(&frontier));
    pass(&frontier, LONG);
    assert!(is_full(&frontier));
}

#[test]
fn after_a_full_look_that_has_failed_late_the_next_one_begins_past_what_is_claimed() {
    let frontier = looked(usize::MAX, Duration::ZERO);
    claim(&frontier, 10, 500, false);
    let (mut asking, scope, _) = frontier.look();
    assert!(matches!(scope, Scope::Full));
    asking.began = asking.began.checked_sub(LONG).unwrap();
    drop(asking);
    let (_asking, scope, _) = frontier.look();
    let Scope::Known(ranges) = scope else { panic!("full looks are dear") };
    assert_eq!((ranges.len(), ranges[0].since), (1, 500));
    assert_eq!(ends(&frontier), [(500, i64::MAX)]);
}

#[test]
fn a_full_look_that_has_failed_late_has_not_seen_what_changed() {
    let frontier = looked(0, Duration::ZERO);
    frontier.start_over();
    let (mut asking, _, _) = frontier.look();
    asking.began = asking.began.checked_sub(LONG).unwrap();
    drop(asking);
    assert!(!is_full(&frontier));
    pass(&frontier, LONG * 2);
    assert!(is_full(&frontier), "sooner than where nothing changed");
}

#[test]
fn a_full_look_that_has_failed_at_once_says_nothing_of_its_cost() {
    let frontier = TestFrontier::default();
    drop(frontier.look());
    assert!(is_full(&frontier));
}

#[test]
fn what_a_look_has_missed_before_it_was_noted_calls_for_another_one() {
    let frontier = claimed();
    let change = frontier.change();
    let (asking, scope, _) = frontier.look();
    let Scope::Known(ranges) = scope else { panic!("full looks are dear") };
    asking.looked_at(&ranges, &HashMap::new(), NOW);
    change.note([RowAvailability::Unowned(PAIR, 600)]);
    assert_eq!(frontier.missed().now_or_never(), None, "the look has seen it");
    change.note([RowAvailability::Unowned(PAIR, 200)]);
    assert_eq!(frontier.missed().now_or_never(), Some(()));
    change.note([scheduled(NOW - 1)]);
    assert_eq!(frontier.missed().now_or_never(), Some(()));
    frontier.change().note([RowAvailability::Unowned(PAIR, 200)]);
    assert_eq!(frontier.missed().now_or_never(), None, "none came in between");
}
