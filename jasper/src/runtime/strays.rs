//! Messages for which this application has no handler at their place: of another version of the
//! application, of a handler that has moved, or of nobody any more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{LiveNode, Subscription};

/// What no living node takes, with the time since when this node has known that.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    unknown_since: HashMap<Subscription, Instant>,
}

/// What is to become of a stray that no handler of this application can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A node that knows it may come yet.
    Wait,
    /// Nobody has come in the time that it was given.
    GiveUp,
}

impl Strays {
    /// Those of `waiting` that no living node takes and that are worth a claim: all but those that
    /// are known to wait for a node.
    pub(crate) fn among(
        &mut self,
        waiting: Vec<Subscription>,
        alive: Vec<LiveNode>,
        keep: Duration,
    ) -> Vec<Subscription> {
        let taken: HashSet<Subscription> = alive.into_iter().flat_map(|node| node.takes).collect();
        let unknown = waiting.into_iter().filter(|stray| !taken.contains(stray));
        let unknown: HashSet<Subscription> = unknown.collect();
        // What is taken or gone begins its time anew when it is found another time.
        self.unknown_since.retain(|stray, _since| unknown.contains(stray));
        let since = |stray: &Subscription| self.unknown_since.get(stray);
        let waits = |stray: &Subscription| since(stray).is_some_and(|s| s.elapsed() < keep);
        unknown.into_iter().filter(|stray| !waits(stray)).collect()
    }

    /// None waits any more.
    pub(crate) fn forget_all(&mut self) {
        self.unknown_since.clear();
    }

    /// What becomes of one that was found.
    pub(crate) fn found(&mut self, stray: Subscription, keep: Duration) -> Verdict {
        let since = *self.unknown_since.entry(stray).or_insert_with(Instant::now);
        if since.elapsed() < keep { Verdict::Wait } else { Verdict::GiveUp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Address;
    use crate::store::Owner;

    const KEEP: Duration = Duration::from_secs(60);

    fn stray() -> Subscription {
        let destination = Address::local("queue", "handler");
        Subscription { destination, message_type: "type@2".into() }
    }

    fn taking(takes: Vec<Subscription>) -> Vec<LiveNode> {
        vec![LiveNode { owner: Owner::new(1), takes, earlier: Vec::new() }]
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_takes_waits_for_its_time_and_is_given_up() {
        let mut strays = Strays::default();
        assert_eq!(strays.among(vec![stray()], taking(vec![]), KEEP), [stray()]);
        assert_eq!(strays.found(stray(), KEEP), Verdict::Wait);
        assert_eq!(strays.among(vec![stray()], taking(vec![]), KEEP), []);
        tokio::time::advance(KEEP).await;
        assert_eq!(strays.among(vec![stray()], taking(vec![]), KEEP), [stray()]);
        assert_eq!(strays.found(stray(), KEEP), Verdict::GiveUp);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_living_node_takes_is_left_to_it_and_its_time_begins_anew() {
        let mut strays = Strays::default();
        assert_eq!(strays.found(stray(), KEEP), Verdict::Wait);
        tokio::time::advance(KEEP).await;
        assert_eq!(strays.among(vec![stray()], taking(vec![stray()]), KEEP), []);
        assert_eq!(strays.among(vec![stray()], taking(vec![]), KEEP), [stray()]);
        assert_eq!(strays.found(stray(), KEEP), Verdict::Wait);
    }
}
