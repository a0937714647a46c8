//! Messages for which this application has no handler at their place: of another version of the
//! application, of a handler that has moved, or of none any more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{LiveNode, NextPage, Subscription};

/// The most subscriptions that are known to wait for a node. Others wait until these are done with.
const MOST: usize = 10_000;

/// What no living node takes, with the time since when this node has known that.
///
/// There may be any number of them; each look finds a page, and the next one goes on behind it.
#[derive(Debug, Default)]
pub(crate) struct UnhandledTypes {
    unknown: HashMap<Subscription, Unknown>,
    /// Counts the times that all pages were seen.
    sweep: u64,
    /// Where the next page begins.
    after: Option<Subscription>,
}

#[derive(Debug)]
struct Unknown {
    since: Instant,
    /// The sweep in which it was seen last.
    seen: u64,
}

/// What is to become of an unhandled message that no handler of this application can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnhandledFate {
    /// A node that takes it may start yet.
    Wait,
    /// No such node has started in time.
    GiveUp,
}

impl UnhandledTypes {
    /// Where the next page begins.
    pub(crate) fn after(&self) -> Option<Subscription> {
        self.after.clone()
    }

    /// A look has ended, and this is the page of the next one.
    pub(crate) fn turn(&mut self, next_page: NextPage) {
        self.after = match next_page {
            NextPage::Unseen => return,
            NextPage::After(last) => Some(last),
            NextPage::First => {
                // What is gone starts its time again when it is found another time.
                let sweep = self.sweep;
                self.unknown.retain(|_stray, unknown| unknown.seen == sweep);
                self.sweep += 1;
                None
            }
        };
    }

    /// Whether some are known to wait, or there are pages to be seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.unknown.is_empty() && self.after.is_none()
    }

    /// Those of `waiting` that no living node takes and that are worth a claim: all but those that
    /// are known to wait for a node.
    pub(crate) fn among(
        &mut self,
        waiting: Vec<Subscription>,
        alive: Vec<LiveNode>,
        timeout: Duration,
    ) -> Vec<Subscription> {
        let taken: HashSet<Subscription> = alive.into_iter().flat_map(|node| node.takes).collect();
        // What is taken starts its time again when it is found another time.
        self.unknown.retain(|unhandled, _unknown| !taken.contains(unhandled));
        let (sweep, mut room) = (self.sweep, MOST.saturating_sub(self.unknown.len()));
        let is_worth_a_claim = |unhandled: &Subscription| match self.unknown.get_mut(unhandled) {
            Some(unknown) => {
                unknown.seen = sweep;
                unknown.since.elapsed() >= timeout
            }
            None if room > 0 => {
                room -= 1;
                true
            }
            None => false,
        };
        let unknown = waiting.into_iter().filter(|unhandled| !taken.contains(unhandled));
        unknown.filter(is_worth_a_claim).collect()
    }

    /// What becomes of one that was found.
    pub(crate) fn found(&mut self, unhandled: Subscription, timeout: Duration) -> UnhandledFate {
        let found = Unknown { since: Instant::now(), seen: self.sweep };
        let unknown = self.unknown.entry(unhandled).or_insert(found);
        if unknown.since.elapsed() < timeout { UnhandledFate::Wait } else { UnhandledFate::GiveUp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Address;
    use crate::store::Owner;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn subscription() -> Subscription {
        let destination = Address::local("queue", "handler");
        Subscription { destination, message_type: "type@2".into() }
    }

    fn taking(takes: Vec<Subscription>) -> Vec<LiveNode> {
        vec![LiveNode { owner: Owner::new(1), takes, earlier: Vec::new() }]
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_takes_waits_for_its_time_and_is_given_up() {
        let mut unhandled = UnhandledTypes::default();
        assert_eq!(
            unhandled.among(vec![subscription()], taking(vec![]), TIMEOUT),
            [subscription()]
        );
        assert_eq!(unhandled.found(subscription(), TIMEOUT), UnhandledFate::Wait);
        assert_eq!(unhandled.among(vec![subscription()], taking(vec![]), TIMEOUT), []);
        tokio::time::advance(TIMEOUT).await;
        assert_eq!(
            unhandled.among(vec![subscription()], taking(vec![]), TIMEOUT),
            [subscription()]
        );
        assert_eq!(unhandled.found(subscription(), TIMEOUT), UnhandledFate::GiveUp);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_living_node_takes_is_left_to_it_and_its_time_begins_anew() {
        let mut unhandled = UnhandledTypes::default();
        assert_eq!(unhandled.found(subscription(), TIMEOUT), UnhandledFate::Wait);
        tokio::time::advance(TIMEOUT).await;
        assert_eq!(
            unhandled.among(vec![subscription()], taking(vec![subscription()]), TIMEOUT),
            []
        );
        assert_eq!(
            unhandled.among(vec![subscription()], taking(vec![]), TIMEOUT),
            [subscription()]
        );
        assert_eq!(unhandled.found(subscription(), TIMEOUT), UnhandledFate::Wait);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_forgotten_once_all_pages_were_seen() {
        let [first, second] = ["a@1", "b@1"].map(|message_type| Subscription {
            message_type: message_type.into(),
            ..subscription()
        });
        let mut unhandled = UnhandledTypes::default();
        for row in [&first, &second] {
            assert_eq!(unhandled.found(row.clone(), TIMEOUT), UnhandledFate::Wait);
        }
        unhandled.turn(NextPage::First);
        for _sweep in 0..3 {
            // Each on a page of its own.
            assert_eq!(unhandled.among(vec![first.clone()], taking(vec![]), TIMEOUT), []);
            unhandled.turn(NextPage::After(first.clone()));
            assert_eq!(unhandled.after(), Some(first.clone()));
            assert_eq!(unhandled.among(vec![second.clone()], taking(vec![]), TIMEOUT), []);
            unhandled.turn(NextPage::First);
        }
        unhandled.turn(NextPage::First);
        assert!(unhandled.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_without_a_page_changes_nothing() {
        let mut unhandled = UnhandledTypes::default();
        assert_eq!(unhandled.found(subscription(), TIMEOUT), UnhandledFate::Wait);
        unhandled.turn(NextPage::After(subscription()));
        for _ in 0..3 {
            unhandled.turn(NextPage::Unseen);
            assert_eq!(unhandled.after(), Some(subscription()));
        }
        unhandled.turn(NextPage::First);
        for _ in 0..3 {
            unhandled.turn(NextPage::Unseen);
            assert!(!unhandled.is_empty(), "it was seen in the last sweep");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_known_than_memory_is_for() {
        let mut unhandled = UnhandledTypes::default();
        for number in 0..MOST {
            let message_type = format!("type{number}@1");
            unhandled.found(Subscription { message_type, ..subscription() }, TIMEOUT);
        }
        assert_eq!(unhandled.among(vec![subscription()], taking(vec![]), TIMEOUT), []);
        unhandled.turn(NextPage::First);
        unhandled.turn(NextPage::First);
        assert_eq!(
            unhandled.among(vec![subscription()], taking(vec![]), TIMEOUT),
            [subscription()]
        );
    }
}
