//! States that differ only in which node or which message is which count as one.

use super::state::{Delivery, Incarnation, MESSAGES, NODES, Node, Phase, Row, State};

/// Another state with other numbers for nodes and messages, mostly the same for all that differ in
/// nothing else. Where it is not, the checker looks at a state more than it need.
pub fn representative(state: &State) -> State {
    let nodes = order::<NODES>(|node| node_key(state, node));
    let messages = order::<MESSAGES>(|message| message_key(state, message, &nodes));
    let place = |delivery: &Delivery| Delivery {
        message: messages[usize::from(delivery.message)],
        ..*delivery
    };
    let mut next = state.clone();
    for (node, new) in state.nodes.iter().zip(nodes) {
        let mut deliveries: Vec<_> = node.deliveries.iter().map(place).collect();
        deliveries.sort_unstable();
        next.nodes[usize::from(new)] = Node { deliveries, ..*node };
    }
    for (row, new) in state.rows.iter().zip(messages) {
        let renamed =
            |owner: Incarnation| Incarnation { node: nodes[usize::from(owner.node)], ..owner };
        next.rows[usize::from(new)] = Row { owner: row.owner.map(renamed), ..*row };
    }
    next
}

/// The new number of each, by their keys.
fn order<const N: usize>(key: impl Fn(usize) -> u64) -> [u8; N] {
    let mut keys = [(0, 0); N];
    for (index, entry) in keys.iter_mut().enumerate() {
        *entry = (key(index), index);
    }
    keys.sort_unstable();
    let mut places = [0; N];
    for (new, (_, old)) in keys.into_iter().enumerate() {
        places[old] = new as u8;
    }
    places
}

/// Does not depend on how nodes and messages are numbered.
fn node_key(state: &State, index: usize) -> u64 {
    let node = &state.nodes[index];
    let mut key = u64::from(node.is_alive) << 16 | u64::from(node.leases) << 8;
    key |= u64::from(node.number);
    for held in &node.deliveries {
        key = key.wrapping_add(scatter(row_key(state.row(*held)) << 16 | delivery_key(held)));
    }
    for row in &state.rows {
        if let Some(owner) = row.owner.filter(|owner| usize::from(owner.node) == index) {
            key = key.wrapping_add(scatter(row_key(row) << 8 | u64::from(owner.number) << 1 | 1));
        }
    }
    key
}

/// Depends on the nodes by their new numbers only.
fn message_key(state: &State, index: usize, nodes: &[u8; NODES]) -> u64 {
    let row = &state.rows[index];
    let mut key = row_key(row);
    if let Some(owner) = row.owner {
        let node = u64::from(nodes[usize::from(owner.node)]);
        key = key.wrapping_add(scatter(node << 8 | u64::from(owner.number)));
    }
    for (node, place) in state.nodes.iter().zip(nodes) {
        for held in node.deliveries.iter().filter(|held| usize::from(held.message) == index) {
            key = key.wrapping_add(scatter(delivery_key(held) << 8 | u64::from(*place) | 1 << 32));
        }
    }
    key
}

fn row_key(row: &Row) -> u64 {
    u64::from(row.is_gone) << 16 | u64::from(row.attempts) << 8 | u64::from(row.effects)
}

fn delivery_key(held: &Delivery) -> u64 {
    let phase = match held.phase {
        Phase::Unheard { is_first } => u64::from(is_first),
        Phase::Uncounted => 2,
        Phase::Counted => 3,
        Phase::Running => 4,
    };
    u64::from(held.attempts) << 12 | u64::from(held.number) << 4 | phase
}

/// Sums of scattered numbers tell sets apart without sorting them.
const fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
