//! Splits settlements into rounds, so that no statement has the same row twice: it would see the
//! row as it was before.

use std::collections::HashMap;

use crate::envelope::{Address, MessageId};
use crate::store::Ownership;

/// Where each row stands in the list, in rounds: what is about the same row stands in different
/// ones, in order.
pub(crate) fn rounds<'o>(rows: impl Iterator<Item = &'o Ownership>) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut before: HashMap<(MessageId, &Address), usize> = HashMap::new();
    for (at, row) in rows.enumerate() {
        let round = before.entry((row.id, &row.destination)).or_default();
        match rounds.get_mut(*round) {
            Some(places) => places.push(at),
            None => rounds.push(vec![at]),
        }
        *round += 1;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Owner;

    #[test]
    fn what_is_about_the_same_row_is_done_in_order() {
        let owned = |id| Ownership {
            id,
            destination: Address::local("queue", "handler"),
            owner: Owner::new(1),
            attempts: 1,
        };
        let [a, b] = [owned(MessageId::new()), owned(MessageId::new())];
        let items = [a.clone(), b, a.clone(), a];
        assert_eq!(rounds(items.iter()), [vec![0, 1], vec![2], vec![3]]);
        assert!(rounds([].iter()).is_empty());
    }

    #[test]
    fn one_message_at_two_destinations_is_two_rows() {
        let id = MessageId::new();
        let owned = |handler| Ownership {
            id,
            destination: Address::local("queue", handler),
            owner: Owner::new(1),
            attempts: 1,
        };
        let items = [owned("a"), owned("b"), owned("a")];
        assert_eq!(rounds(items.iter()), [vec![0, 1], vec![2]]);
    }
}
