//! The calls of a store, as telemetry and tests name them.

use std::fmt;

/// One call of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// [`MessageStore::begin`](super::MessageStore::begin).
    Begin,
    /// [`StoreTransaction::commit`](super::StoreTransaction::commit).
    Commit,
    /// [`StoreTransaction::rollback`](super::StoreTransaction::rollback).
    Rollback,
    /// [`Inbox::store`](super::Inbox::store).
    Store,
    /// [`Inbox::store_within`](super::Inbox::store_within).
    StoreWithin,
    /// [`Inbox::claimable`](super::Inbox::claimable).
    Claimable,
    /// [`Inbox::claim`](super::Inbox::claim).
    Claim,
    /// [`Inbox::settle`](super::Inbox::settle).
    Settle,
    /// [`Inbox::release`](super::Inbox::release).
    Release,
    /// [`Inbox::owned`](super::Inbox::owned).
    Owned,
    /// [`Outbox::store`](super::Outbox::store).
    StoreOutgoing,
    /// [`Outbox::store_within`](super::Outbox::store_within).
    StoreOutgoingWithin,
    /// [`Outbox::destinations`](super::Outbox::destinations).
    Destinations,
    /// [`Outbox::claim`](super::Outbox::claim).
    ClaimOutgoing,
    /// [`Outbox::settle`](super::Outbox::settle).
    SettleOutgoing,
    /// [`Outbox::release`](super::Outbox::release).
    ReleaseOutgoing,
    /// [`Outbox::owned`](super::Outbox::owned).
    OwnedOutgoing,
    /// [`Nodes::now`](super::Nodes::now).
    Now,
    /// [`Nodes::join`](super::Nodes::join).
    Join,
    /// [`Nodes::renew`](super::Nodes::renew) and [`Nodes::pulse`](super::Nodes::pulse).
    Renew,
    /// [`Nodes::expired`](super::Nodes::expired).
    Expired,
    /// [`Nodes::alive`](super::Nodes::alive).
    Alive,
    /// [`Nodes::note_earlier`](super::Nodes::note_earlier).
    NoteEarlier,
    /// [`Nodes::leave`](super::Nodes::leave).
    Leave,
    /// [`Nodes::forget`](super::Nodes::forget).
    Forget,
    /// [`Nodes::wait_for_notification`](super::Nodes::wait_for_notification).
    WaitForNotification,
    /// [`DeadLetters::store`](super::DeadLetters::store).
    StoreDeadLetter,
    /// [`DeadLetters::list`](super::DeadLetters::list).
    ListDeadLetters,
    /// [`DeadLetters::replay`](super::DeadLetters::replay).
    ReplayDeadLetters,
    /// [`DeadLetters::discard`](super::DeadLetters::discard).
    DiscardDeadLetters,
    /// [`StoreAdmin::prepare`](super::StoreAdmin::prepare).
    Prepare,
    /// [`StoreAdmin::counts`](super::StoreAdmin::counts).
    Counts,
    /// [`StoreAdmin::purge`](super::StoreAdmin::purge).
    Purge,
    /// [`StoreAdmin::clear`](super::StoreAdmin::clear).
    Clear,
    /// [`StoreAdmin::check`](super::StoreAdmin::check).
    Check,
    /// [`StoreAdmin::rebuild`](super::StoreAdmin::rebuild).
    Rebuild,
}

impl StoreOperation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Begin,
        Self::Commit,
        Self::Rollback,
        Self::Store,
        Self::StoreWithin,
        Self::Claimable,
        Self::Claim,
        Self::Settle,
        Self::Release,
        Self::Owned,
        Self::StoreOutgoing,
        Self::StoreOutgoingWithin,
        Self::Destinations,
        Self::ClaimOutgoing,
        Self::SettleOutgoing,
        Self::ReleaseOutgoing,
        Self::OwnedOutgoing,
        Self::Now,
        Self::Join,
        Self::Renew,
        Self::Expired,
        Self::Alive,
        Self::NoteEarlier,
        Self::Leave,
        Self::Forget,
        Self::WaitForNotification,
        Self::StoreDeadLetter,
        Self::ListDeadLetters,
        Self::ReplayDeadLetters,
        Self::DiscardDeadLetters,
        Self::Prepare,
        Self::Counts,
        Self::Purge,
        Self::Clear,
        Self::Check,
        Self::Rebuild,
    ];

    /// The value of the label `op` in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Store => "store",
            Self::StoreWithin => "store_within",
            Self::Claimable => "claimable",
            Self::Claim => "claim",
            Self::Settle => "settle",
            Self::Release => "release",
            Self::Owned => "owned",
            Self::StoreOutgoing => "outbox_store",
            Self::StoreOutgoingWithin => "outbox_store_within",
            Self::Destinations => "destinations",
            Self::ClaimOutgoing => "outbox_claim",
            Self::SettleOutgoing => "outbox_settle",
            Self::ReleaseOutgoing => "outbox_release",
            Self::OwnedOutgoing => "outbox_owned",
            Self::Now => "now",
            Self::Join => "join",
            Self::Renew => "renew",
            Self::Expired => "expired",
            Self::Alive => "alive",
            Self::NoteEarlier => "note_earlier",
            Self::Leave => "leave",
            Self::Forget => "forget",
            Self::WaitForNotification => "wait_for_notification",
            Self::StoreDeadLetter => "dead_letter_store",
            Self::ListDeadLetters => "dead_letter_list",
            Self::ReplayDeadLetters => "dead_letter_replay",
            Self::DiscardDeadLetters => "dead_letter_discard",
            Self::Prepare => "prepare",
            Self::Counts => "counts",
            Self::Purge => "purge",
            Self::Clear => "clear",
            Self::Check => "check",
            Self::Rebuild => "rebuild",
        }
    }

    /// Whether its success shows that the store is well: those that write, as reading may go well
    /// on a full disk, and the look, as writing is rare where there is no work.
    pub(crate) const fn shows_health(self) -> bool {
        matches!(
            self,
            Self::Store
                | Self::StoreOutgoing
                | Self::Claimable
                | Self::Claim
                | Self::ClaimOutgoing
                | Self::Settle
                | Self::SettleOutgoing
                | Self::Commit
                | Self::Renew
        )
    }

    /// Whether it only reads: whatever becomes of it, no row changes its owner.
    pub(crate) const fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Claimable
                | Self::Owned
                | Self::OwnedOutgoing
                | Self::Alive
                | Self::Counts
                | Self::Check
                | Self::Destinations
                | Self::Now
        )
    }
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let mut names: Vec<_> = StoreOperation::ALL.iter().map(|it| it.as_str()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_writes_to_inbox_and_outbox_shows_health_alike() {
        for (inbox, outbox) in [
            (StoreOperation::Store, StoreOperation::StoreOutgoing),
            (StoreOperation::Claim, StoreOperation::ClaimOutgoing),
            (StoreOperation::Settle, StoreOperation::SettleOutgoing),
            (StoreOperation::Release, StoreOperation::ReleaseOutgoing),
            (StoreOperation::Owned, StoreOperation::OwnedOutgoing),
        ] {
            assert_eq!(inbox.shows_health(), outbox.shows_health(), "{outbox}");
            assert_eq!(inbox.only_reads(), outbox.only_reads(), "{outbox}");
        }
    }
}
