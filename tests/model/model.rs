//! An exhaustive model of claim, lease, recovery and fence: every order in which three nodes and
//! three messages can go through them, up to a number of mishaps.
//!
//! It is about the protocol, not about the code: the conformance suite holds the stores to it.

mod inbox;

use std::time::Instant;

use inbox::{Action, Fence, Inbox, ONCE, PROGRESS, State, representative};
use stateright::{Checker, HasDiscoveries, Model, Path};

const PROTOCOL: Inbox = Inbox {
    messages: 3,
    mishaps: 2,
    possible: |_| true,
    fence: Fence::OwnerAndAttempts,
    releases_unknown: true,
};

/// Every state, those that differ only in names counted once.
fn assert_holds(protocol: Inbox) {
    let started = Instant::now();
    let checker = protocol.checker().threads(2).symmetry_fn(representative);
    let checked = checker.spawn_dfs().join();
    println!(
        "{} messages, {} mishaps: {} unique states, {} steps, {:.1} s",
        protocol.messages,
        protocol.mishaps,
        checked.unique_state_count(),
        checked.state_count(),
        started.elapsed().as_secs_f64(),
    );
    assert!(checked.is_done(), "not all states were looked at");
    checked.assert_properties();
}

/// A short history that breaks this property.
fn counterexample(protocol: Inbox, property: &'static str) -> Vec<Action> {
    let found = HasDiscoveries::AllOf([property].into());
    let checked = protocol.checker().finish_when(found).spawn_bfs().join();
    let path: Path<State, Action> = checked.assert_any_discovery(property);
    let actions = path.into_actions();
    println!("{property}: {} unique states, {actions:?}", checked.unique_state_count());
    actions
}

// The bounds. There are always three nodes. Mishaps are what may go wrong, of whatever kinds: a
// crash, a stop, a lease that a living node loses, an answer that is lost. One more makes 14 times
// (with one message) to 110 times (with three) as many states, so that more mishaps are looked at
// with fewer messages. Incarnations and attempts need no bounds: each follows from a mishap.

#[test]
fn three_messages_take_effect_once_each_and_none_is_stuck_after_any_two_mishaps() {
    assert_holds(PROTOCOL);
}

#[test]
fn two_messages_take_effect_once_each_and_none_is_stuck_after_any_three_mishaps() {
    assert_holds(Inbox { messages: 2, mishaps: 3, ..PROTOCOL });
}

#[test]
fn a_message_takes_effect_once_and_is_not_stuck_after_any_four_mishaps() {
    assert_holds(Inbox { messages: 1, mishaps: 4, ..PROTOCOL });
}

#[test]
fn without_the_fence_a_zombie_makes_a_message_take_effect_twice() {
    let possible = |action: &Action| matches!(action, Action::Expire(_));
    let actions = counterexample(Inbox { fence: Fence::None, possible, ..PROTOCOL }, ONCE);
    assert!(actions.iter().any(|action| matches!(action, Action::Recover(_))), "{actions:?}");
}

#[test]
fn without_the_fence_a_commit_whose_answer_is_lost_takes_effect_twice() {
    let possible = |action: &Action| matches!(action, Action::CommitUnheard(..));
    counterexample(Inbox { fence: Fence::None, possible, ..PROTOCOL }, ONCE);
}

/// What owner and attempts are compared for is the other writes: a zombie must not dead-letter,
/// schedule or release what another node is handling.
#[test]
fn a_commit_that_only_finds_the_row_gone_is_fence_enough_for_its_effects() {
    assert_holds(Inbox { messages: 2, fence: Fence::Row, ..PROTOCOL });
}

#[test]
fn a_row_whose_claim_had_no_answer_is_stuck_unless_its_owner_releases_what_it_does_not_hold() {
    let possible = |action: &Action| matches!(action, Action::ClaimUnheard(..));
    counterexample(Inbox { possible, releases_unknown: false, ..PROTOCOL }, PROGRESS);
}

/// The node repeats the count, is fenced by its own first one, and drops a message that is its own.
#[test]
fn a_row_whose_attempt_was_counted_without_an_answer_is_stuck_without_that_release_too() {
    let possible =
        |action: &Action| matches!(action, Action::HandlerFails(..) | Action::CountUnheard(..));
    counterexample(Inbox { possible, releases_unknown: false, ..PROTOCOL }, PROGRESS);
}
