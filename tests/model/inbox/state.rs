//! What the model looks at: the rows of the store, and what each node has in memory.

pub const NODES: usize = 3;
pub const MESSAGES: usize = 3;

/// One moment of the whole system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub rows: [Row; MESSAGES],
    pub nodes: [Node; NODES],
    /// How many mishaps may still come; it bounds incarnations and attempts too.
    pub mishaps_left: u8,
}

/// What the store has of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Row {
    /// Whether the message is marked as handled, which deletes its row.
    pub is_gone: bool,
    pub owner: Option<Incarnation>,
    pub attempts: u8,
    /// How many transactions of its handler have committed.
    pub effects: u8,
}

/// A node under one of its numbers, which are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation {
    pub node: u8,
    pub number: u8,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Node {
    pub is_alive: bool,
    /// The number of the incarnation that it takes itself for.
    pub number: u8,
    /// The incarnations whose leases run, a bit for each number.
    pub leases: u8,
    /// Sorted, so that equal states are equal.
    pub deliveries: Vec<Delivery>,
}

/// A message in the memory of a node, with the ownership that it believes to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Delivery {
    pub message: u8,
    pub number: u8,
    pub attempts: u8,
    pub phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The store has given the row; the answer is on its way, or lost.
    Unheard { is_first: bool },
    /// Its next run has to be counted first.
    Uncounted,
    /// Its next run is counted already.
    Counted,
    /// Its handler's transaction is open.
    Running,
}

impl State {
    pub fn new(messages: usize, mishaps: u8) -> Self {
        let handled = Row { is_gone: true, effects: 1, ..Row::default() };
        let row = |index| if index < messages { Row::default() } else { handled };
        let node = Node { is_alive: true, leases: 1, ..Node::default() };
        Self {
            rows: std::array::from_fn(row),
            nodes: [node.clone(), node.clone(), node],
            mishaps_left: mishaps,
        }
    }

    pub fn row(&self, delivery: Delivery) -> &Row {
        &self.rows[usize::from(delivery.message)]
    }

    pub fn row_mut(&mut self, delivery: Delivery) -> &mut Row {
        &mut self.rows[usize::from(delivery.message)]
    }

    /// Whether the lease of an incarnation runs.
    pub fn is_trusted(&self, owner: Incarnation) -> bool {
        self.nodes[usize::from(owner.node)].leases & (1 << owner.number) != 0
    }

    /// What a node takes itself for.
    pub fn current(&self, node: usize) -> Incarnation {
        Incarnation { node: node as u8, number: self.nodes[node].number }
    }

    /// Whether the row is as a delivery in a node's memory says.
    pub fn is_owned(&self, node: usize, delivery: Delivery) -> bool {
        let row = self.row(delivery);
        let owner = Incarnation { node: node as u8, number: delivery.number };
        !row.is_gone && row.owner == Some(owner) && row.attempts == delivery.attempts
    }

    pub fn is_all_handled(&self) -> bool {
        self.rows.iter().all(|row| row.is_gone)
    }
}

impl Node {
    /// Whether it knows that it holds a message under its present number.
    pub fn holds(&self, message: u8) -> bool {
        self.deliveries.iter().any(|held| {
            let is_heard = !matches!(held.phase, Phase::Unheard { .. });
            is_heard && held.message == message && held.number == self.number
        })
    }

    pub fn add(&mut self, delivery: Delivery) {
        let at = self.deliveries.partition_point(|other| *other < delivery);
        self.deliveries.insert(at, delivery);
    }

    /// Goes on under a new number. Transactions stay open, as nothing has ended them; what has not
    /// begun is dropped, as its worker compares the numbers first.
    pub fn renumber(&mut self) {
        self.deliveries.retain(|held| matches!(held.phase, Phase::Running | Phase::Unheard { .. }));
        self.is_alive = true;
        self.number += 1;
        self.leases |= 1 << self.number;
    }
}
