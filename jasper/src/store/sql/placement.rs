//! Where a row is placed when it is written: its status, who owns it, and when it is due.

use super::number::{NO_OWNER, micros};
use crate::envelope::time::to_micros;
use crate::store::{Incoming, Outgoing, Placement};

/// The columns of an inbox row that say who may handle it and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlacementColumns {
    pub(crate) status: &'static str,
    pub(crate) owner: i64,
    pub(crate) due_at: Option<i64>,
    /// For how long its id is kept once it is handled.
    pub(crate) retention: Option<i64>,
}

impl PlacementColumns {
    pub(crate) fn of(row: &Incoming) -> Self {
        let (status, owner, due_at) = match row.placement {
            Placement::Owned(owner) => ("incoming", owner.number(), None),
            Placement::Unowned => ("incoming", NO_OWNER, None),
            Placement::Scheduled(due_at) => ("scheduled", NO_OWNER, Some(to_micros(due_at))),
        };
        Self { status, owner, due_at, retention: row.retention.map(micros) }
    }
}

/// The owner of an outbox row, and until when it is to be delivered.
pub(crate) fn outgoing(row: &Outgoing) -> (i64, Option<i64>) {
    let owner = row.owner.map_or(NO_OWNER, |owner| owner.number());
    (owner, row.envelope.deliver_by.map(to_micros))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::envelope::time::from_micros;
    use crate::envelope::{Address, Envelope};
    use crate::store::Owner;

    fn envelope() -> Envelope {
        let message_type = "test.message@1".parse().expect("a type");
        Envelope::new(message_type, "application/json", "{}".into(), Address::local("queue", "h"))
    }

    fn placed(placement: Placement, retention: Option<Duration>) -> PlacementColumns {
        PlacementColumns::of(&Incoming { envelope: envelope(), placement, retention })
    }

    #[test]
    fn a_row_is_placed_with_its_owner_or_for_any_or_for_later() {
        let with =
            |status, owner, due_at| PlacementColumns { status, owner, due_at, retention: None };
        assert_eq!(placed(Placement::Owned(Owner::new(7)), None), with("incoming", 7, None));
        assert_eq!(placed(Placement::Unowned, None), with("incoming", 0, None));
        let later = Placement::Scheduled(from_micros(9));
        assert_eq!(placed(later, None), with("scheduled", 0, Some(9)));
    }

    #[test]
    fn an_id_is_never_kept_for_so_long_that_a_sum_with_the_present_is_too_large() {
        let retention = |retention| placed(Placement::Unowned, Some(retention)).retention;
        assert_eq!(retention(Duration::from_micros(5)), Some(5));
        assert_eq!(retention(Duration::MAX), Some(i64::MAX / 2));
    }

    #[test]
    fn an_outgoing_row_is_for_its_owner_or_for_any() {
        let row =
            |owner, deliver_by| Outgoing { envelope: Envelope { deliver_by, ..envelope() }, owner };
        assert_eq!(outgoing(&row(Some(Owner::new(3)), None)), (3, None));
        assert_eq!(outgoing(&row(None, Some(from_micros(4)))), (0, Some(4)));
    }
}
