//! What every store has to keep, as clauses that can be run against any.
//!
//! Implement [`StoreFixture`] for your store and write `jasper::store_conformance!(MyFixture);` in
//! an integration test: each clause becomes a test with its own name, on a store of its own. The
//! crate of that test needs `tokio` with the features `macros` and `rt-multi-thread`.
//!
//! Clauses are added and sharpened in minor versions: a store that fails a new one was wrong
//! before.

mod fixture;
mod subject;

pub mod admin;
pub mod backlogs;
pub mod claims;
pub mod conflicts;
pub mod dead_letters;
pub mod inbox;
pub mod keys;
pub mod nodes;
pub mod outbox;
pub mod schema;
pub mod settlement;
pub mod transactions;

pub use self::fixture::{Effects, OwnTransaction, StoreFixture};

/// One `#[tokio::test]` for each clause, against the stores that the fixture opens.
///
/// ```text
/// jasper::store_conformance!(MyFixture::default());
/// ```
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::__store_clauses!($fixture);
    };
}

/// Not public API. Every clause, by port; `every_clause_is_listed` holds it complete.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_clauses {
    ($fixture:expr) => {
        $crate::__conformance_tests! {
            store; $fixture;
            inbox {
                a_stored_row_is_new_and_can_be_claimed
                a_repeated_key_is_a_duplicate_and_changes_nothing
                a_key_that_stands_twice_in_one_call_is_stored_once
                one_message_at_two_destinations_is_two_rows
                many_rows_are_answered_in_order
                many_bytes_are_answered_in_order
                an_envelope_comes_back_with_every_field
                a_row_stored_as_owned_is_not_claimable
                storing_nothing_is_harmless
                rows_of_many_callers_are_all_there
                of_concurrent_repeats_one_is_new
                a_handled_row_without_keep_is_forgotten
                a_handled_row_with_keep_is_remembered
                a_repeat_is_a_duplicate_until_the_purge
                a_purge_is_bounded_and_spares_rows_whose_time_is_not_over
            }
            claims {
                a_claim_that_counts_no_attempt_leaves_none_to_be_cut_short
                a_first_claim_counts_an_attempt_and_a_later_one_does_not
                stored_attempts_are_kept
                a_claimed_row_belongs_to_its_claimer
                a_claim_takes_no_more_than_its_limit
                a_claim_takes_the_oldest_first
                a_claim_of_large_rows_is_bounded_in_bytes
                a_claim_of_large_and_small_rows_has_each_with_its_body
                a_row_that_fills_a_claim_is_claimed
                a_claim_takes_only_the_destinations_that_it_lists
                a_row_that_is_not_yet_due_is_not_claimed
                the_present_that_a_store_tells_is_the_one_in_which_rows_are_due
                a_row_that_is_due_is_claimed
                a_claim_takes_only_the_types_that_it_lists
                a_look_tells_what_waits_and_when_more_is_due
                a_look_finds_what_has_become_due
                a_claim_tells_from_which_owners_a_row_was_released
                a_look_finds_a_page_and_all_that_is_taken
                a_claim_names_any_number_of_subscriptions
                the_rows_of_an_owner_are_listed
                concurrent_claims_never_share_a_row
                an_unreadable_body_is_claimed_as_an_error_and_dead_lettered_intact
            }
            backlogs {
                what_is_given_back_after_a_backlog_is_claimed_first
                many_rows_given_back_after_a_backlog_are_claimed
                what_a_gone_owner_had_of_a_backlog_is_claimed
                what_is_due_after_a_backlog_is_claimed_first
                what_was_sent_before_a_backlog_is_claimed_first
                rows_sent_at_one_time_are_each_claimed_once
                what_commits_late_after_a_backlog_is_claimed_soon
            }
            settlement {
                an_attempt_is_counted_and_the_row_stays_owned
                an_attempt_that_is_asked_for_twice_is_counted_once
                a_scheduled_row_belongs_to_nobody_and_waits
                a_release_after_a_run_keeps_its_attempt
                a_release_without_a_run_takes_its_attempt_back
                a_dead_letter_keeps_bytes_reason_and_attempts
                every_settlement_by_another_owner_is_fenced
                every_settlement_with_other_attempts_is_fenced
                every_settlement_of_an_unknown_row_is_fenced
                every_settlement_of_a_handled_row_is_fenced
                every_settlement_of_a_released_row_is_fenced
                a_row_is_settled_once
                settlements_are_answered_in_order
                many_handled_rows_are_forgotten_kept_or_fenced
                the_release_of_an_owner_is_bounded_and_spares_others
            }
            transactions {
                a_commit_ends_the_message_and_stores_what_follows
                a_commit_without_a_message_stores_what_follows
                a_commit_keeps_the_id_of_a_message_that_is_to_be_kept
                a_commit_stores_many_messages
                a_commit_stores_large_messages
                a_fenced_commit_of_large_messages_undoes_everything
                a_commit_schedules_what_is_for_later
                a_fenced_commit_undoes_everything
                of_two_runs_of_a_message_one_commits
                a_message_that_follows_twice_is_stored_once
                a_rollback_undoes_everything
                a_dropped_transaction_is_rolled_back
                an_abandoned_call_holds_nobody_up
                an_abandoned_commit_is_all_or_nothing
                one_rollback_spares_its_neighbours
                a_row_stored_within_a_transaction_is_there_after_its_commit
                a_row_stored_within_a_transaction_is_gone_after_its_rollback
                a_row_stored_within_a_handler_is_gone_with_its_rollback
                a_connection_of_another_type_is_refused
            }
            outbox {
                an_outgoing_row_is_claimed_for_its_destination
                an_outgoing_envelope_comes_back_with_every_field
                a_repeated_outgoing_key_is_a_duplicate
                outgoing_rows_are_claimed_oldest_first_and_bounded
                a_claim_of_large_outgoing_rows_is_bounded_in_bytes
                an_owned_outgoing_row_is_not_claimable
                a_sent_row_is_gone
                a_discarded_row_is_gone
                a_failed_row_counts_an_attempt_and_can_be_claimed
                a_released_outgoing_row_keeps_its_attempts_and_can_be_claimed
                a_refused_row_becomes_a_dead_letter_with_its_bytes
                a_fenced_outgoing_settlement_changes_nothing
                outgoing_settlements_are_answered_in_order
                the_release_of_outgoing_rows_is_bounded_and_spares_others
                the_outgoing_rows_of_an_owner_are_listed
                destinations_are_those_of_rows_that_nobody_owns
                concurrent_outgoing_claims_never_share_a_row
            }
            keys {
                a_key_that_is_held_keeps_no_other_row_waiting
                many_keys_that_are_held_keep_no_other_row_waiting
                a_repeat_that_waits_keeps_no_other_row_waiting
                an_outgoing_key_that_is_held_keeps_no_other_row_waiting
            }
            conflicts {
                runs_that_store_the_same_messages_all_commit
                of_two_runs_of_each_of_many_messages_one_commits
                senders_of_the_same_keys_are_each_answered
                own_transactions_that_store_the_same_keys_all_commit
                a_row_is_settled_or_released
                an_outgoing_row_is_settled_or_released
                a_letter_is_replayed_or_discarded_once
            }
            dead_letters {
                a_stored_letter_is_listed_as_it_is
                letters_are_listed_newest_first_and_bounded
                a_list_of_large_letters_is_bounded_in_bytes
                letters_that_each_fill_a_page_are_replayed_and_discarded
                letters_are_listed_by_reason_and_type
                a_replayed_letter_has_no_attempts_and_is_replayed_once
                a_replayed_letter_is_still_to_be_kept
                a_letter_whose_message_is_there_again_is_not_doubled
                a_message_dead_lettered_again_replaces_its_letter
                a_discarded_letter_is_gone_and_others_stay
                letters_are_replayed_together
                any_number_of_letters_is_replayed_and_discarded
                a_long_error_is_cut_and_its_letter_stored
                an_error_with_odd_characters_is_stored
            }
            nodes {
                a_number_is_never_given_twice
                one_store_that_joins_twice_is_two_nodes
                a_lease_is_granted_as_asked_for
                a_renewed_lease_runs_on
                a_late_lease_that_no_other_node_has_ended_is_renewed
                a_lease_that_ran_out_and_was_ended_cannot_be_renewed
                it_is_known_when_the_next_lease_ends
                a_lease_that_is_not_renewed_is_over_when_it_is_said_to_end
                a_node_that_left_is_gone
                a_forgotten_node_is_not_listed
                the_living_nodes_are_known
                what_a_living_node_takes_is_known
                the_earlier_numbers_of_a_living_node_are_known
                an_owner_of_rows_is_not_forgotten
                a_living_node_is_not_forgotten
                an_unknown_node_cannot_renew
                a_forgotten_owner_of_rows_is_listed
                a_row_of_a_gone_node_is_its_own_until_it_is_released
            }
            admin {
                to_prepare_again_changes_nothing
                a_new_store_is_empty
                rows_are_counted_by_state
                to_clear_empties_the_store_and_keeps_nodes
                processes_that_clear_at_once_all_succeed
                every_row_is_reachable_by_some_recovery
                what_is_committed_is_there_after_reopening
            }
            schema {
                a_prepared_store_passes_the_check
                to_rebuild_empties_the_store_and_leaves_no_node
                to_rebuild_leaves_the_rows_of_the_user
                what_was_owned_before_a_rebuild_is_fenced
                no_number_is_given_again_after_a_rebuild
                a_rebuilt_store_has_all_that_it_needs
                processes_that_rebuild_at_once_all_succeed
                nodes_at_work_outlast_a_rebuild
                an_empty_database_is_refused_by_the_check_and_can_be_rebuilt
                migrations_that_are_applied_by_hand_are_all_that_is_needed
            }
        }
    };
}

#[cfg(test)]
mod tests {
    /// A clause that is written but not listed would never run.
    #[test]
    fn every_clause_is_listed() {
        let list = include_str!("mod.rs");
        let ports = [
            include_str!("admin.rs"),
            include_str!("backlogs.rs"),
            include_str!("claims.rs"),
            include_str!("conflicts.rs"),
            include_str!("dead_letters.rs"),
            include_str!("inbox.rs"),
            include_str!("keys.rs"),
            include_str!("nodes.rs"),
            include_str!("outbox.rs"),
            include_str!("schema.rs"),
            include_str!("settlement.rs"),
            include_str!("transactions.rs"),
        ];
        for clauses in ports {
            for clause in clauses.split("\npub async fn ").skip(1) {
                let name = clause.split('<').next().unwrap();
                assert!(list.contains(&format!("\n                {name}\n")), "{name}");
            }
        }
    }
}
