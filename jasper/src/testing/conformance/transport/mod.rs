//! What every transport has to keep, as clauses that can be run against any.
//!
//! Implement [`TransportFixture`] and write `jasper::transport_conformance!(MyFixture);`,
//! `jasper::link_conformance!(MyFixture);` for a transport between processes, and
//! `jasper::durable_conformance!(MyFixture);` where its endpoints are durable: each clause becomes
//! a test with its own name, between applications of its own. A transport over a broker also has
//! `jasper::broker_conformance!(MyFixture);`, for a link that is a [`BrokerLink`].

mod cast;
mod stage;

pub mod brokers;
pub mod durability;
pub mod handling;
pub mod links;
pub mod requests;
pub mod sending;

use std::future::Future;

use futures_util::future::BoxFuture;

use crate::runtime::{Builder, Jasper};

/// Opens links for the clauses.
pub trait TransportFixture: Send + Sync {
    /// What lies between two applications, as long as they run.
    type Link: Link;

    /// A link that no other clause uses.
    fn open(&self) -> impl Future<Output = Self::Link> + Send;
}

/// What lies between an application that sends and one that receives.
pub trait Link: Send + Sync {
    /// Whether both are one application, with local queues in between.
    fn is_local(&self) -> bool {
        false
    }

    /// Tells an application how to receive; called again for one that takes its place.
    fn receive(&self, builder: Builder) -> Builder;

    /// The same for an application without a store.
    fn receive_in_memory(&self, builder: Builder) -> Builder {
        self.receive(builder)
    }

    /// Tells an application how to send.
    fn send(&self, builder: Builder) -> Builder {
        builder
    }

    /// Nothing waits between the two any more. For a broker, which has what one has sent before the
    /// other receives it.
    fn empty(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// An application has started, or listens again: what is sent goes to this one from now on.
    fn found<'a>(&'a self, receiver: &'a Jasper) -> BoxFuture<'a, ()>;

    /// The address to which the sender sends, with order declared.
    fn address(&self) -> String;

    /// Cuts all connections that there are; new ones are welcome.
    fn cut(&self) -> BoxFuture<'_, ()>;

    /// The bytes of the largest text that is to arrive.
    fn large(&self) -> usize {
        1_000_000
    }

    /// A number of bytes that one message cannot have.
    fn too_large(&self) -> usize {
        5 * 1024 * 1024
    }
}

/// What a broker makes of a link.
pub trait BrokerLink: Link {
    /// An address to which the sender may send, and from which no queue takes anything.
    fn nowhere(&self) -> String;

    /// Makes something at the broker, and tells an application to receive from it by another
    /// declaration; with two texts that the problem at start has to name.
    fn receive_otherwise(&self, builder: Builder) -> BoxFuture<'_, (Builder, [&'static str; 2])>;

    /// Ends the broker.
    fn end_broker(&self) -> BoxFuture<'_, ()>;

    /// Starts it again, with what it has kept, and returns when it takes connections.
    fn start_broker(&self) -> BoxFuture<'_, ()>;

    /// Removes the place at which the receiver listens, with what is in it.
    fn remove_place(&self) -> BoxFuture<'_, ()>;
}

/// One `#[tokio::test]` for each clause that every transport has to keep, local queues included.
#[macro_export]
macro_rules! transport_conformance {
    ($fixture:expr) => {
        $crate::__transport_clauses!($fixture);
    };
}

/// One `#[tokio::test]` for each clause that a transport between processes has to keep.
#[macro_export]
macro_rules! link_conformance {
    ($fixture:expr) => {
        $crate::__link_clauses!($fixture);
    };
}

/// One `#[tokio::test]` for each clause that durable endpoints have to keep.
#[macro_export]
macro_rules! durable_conformance {
    ($fixture:expr) => {
        $crate::__durable_clauses!($fixture);
    };
}

/// One `#[tokio::test]` for each clause that a transport over a broker has to keep.
#[macro_export]
macro_rules! broker_conformance {
    ($fixture:expr) => {
        $crate::__broker_clauses!($fixture);
    };
}

/// Not public API. Every clause, by subject; `every_clause_is_listed` holds it complete.
#[doc(hidden)]
#[macro_export]
macro_rules! __transport_clauses {
    ($fixture:expr) => {
        $crate::__conformance_tests! {
            transport; $fixture;
            sending {
                a_command_reaches_the_endpoint_of_its_type
                a_command_reaches_the_endpoint_that_is_named
                an_endpoint_that_is_not_configured_is_refused
                an_event_reaches_every_subscriber
                source_and_correlation_travel_along
                headers_tenant_and_group_travel_along
                small_and_large_payloads_arrive_whole
                many_messages_arrive_once_each
                order_is_kept_where_it_is_declared
                what_a_handler_returns_arrives
                what_a_failed_handler_would_have_sent_does_not_leave
            }
            handling {
                a_failed_message_is_tried_again
                a_message_whose_attempts_are_used_up_becomes_a_dead_letter
                a_message_that_fails_for_good_becomes_a_dead_letter_at_once
                a_failing_message_does_not_hold_up_others
                a_message_for_later_waits_for_its_time
                an_expired_message_is_not_handled
                a_payload_that_does_not_decode_is_an_invalid_message
                a_message_of_an_unknown_type_is_not_lost
                a_repeated_key_is_handled_once
                a_dead_letter_that_is_replayed_is_handled
                a_stop_finishes_what_has_begun
            }
            requests {
                a_request_is_answered_with_the_typed_reply
                a_request_without_a_reply_is_answered_when_it_is_handled
                many_requests_get_their_own_answers
                a_failure_comes_back_in_words_and_is_tried_once
                a_request_that_takes_too_long_gives_up
                a_request_that_nobody_handles_is_told_so
            }
        }
    };
}

/// Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __link_clauses {
    ($fixture:expr) => {
        $crate::__conformance_tests! {
            transport; $fixture;
            links {
                what_is_sent_while_the_receiver_is_away_waits_for_it
                a_paused_listener_receives_nothing_until_it_goes_on
                a_receiver_that_starts_again_goes_on
                after_a_cut_the_connection_is_made_anew
                a_sender_that_stops_sends_what_it_has
                an_event_is_published_to_several_applications
                a_destination_that_is_down_does_not_delay_others
                a_message_that_is_too_large_becomes_a_dead_letter_of_its_sender
                a_request_to_nobody_fails_at_once
                a_request_whose_connection_is_cut_fails
            }
        }
    };
}

/// Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __durable_clauses {
    ($fixture:expr) => {
        $crate::__conformance_tests! {
            transport; $fixture;
            durability {
                connections_that_are_cut_lose_and_double_nothing
                a_sender_that_crashed_sends_what_it_had
                a_receiver_that_crashed_handles_what_it_had
                what_a_transaction_holds_leaves_with_its_commit
                a_receiver_without_a_store_takes_nothing_durable
                two_senders_share_one_outbox
            }
        }
    };
}

/// Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __broker_clauses {
    ($fixture:expr) => {
        $crate::__conformance_tests! {
            transport; $fixture;
            brokers {
                a_message_that_no_queue_takes_becomes_a_dead_letter_of_its_sender
                a_declaration_that_differs_is_a_problem_at_start_that_names_both
                what_is_delivered_again_is_handled_once
                what_is_sent_while_the_broker_is_away_arrives_when_it_is_back
                a_poison_message_is_one_dead_letter_across_a_restart_of_the_broker
                an_application_starts_without_its_broker_and_works_when_that_comes
                a_listener_whose_place_is_removed_works_again
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
        let subjects = [
            include_str!("brokers.rs"),
            include_str!("durability.rs"),
            include_str!("handling.rs"),
            include_str!("links.rs"),
            include_str!("requests.rs"),
            include_str!("sending.rs"),
        ];
        for clauses in subjects {
            for clause in clauses.split("\npub async fn ").skip(1) {
                let name = clause.split('<').next().unwrap();
                assert!(list.contains(&format!("\n                {name}\n")), "{name}");
            }
        }
    }
}
