//! A state that the arguments of a handler need.

use std::any::{TypeId, type_name};
use std::sync::Arc;

use crate::store::ConnectionType;

/// What the arguments of a handler need.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Requirements {
    /// The states that have to be registered.
    pub states: Vec<StateRequirement>,
    /// The connection that it takes as `&mut`, if it takes one.
    pub connection: Option<ConnectionType>,
}

/// A state that a handler cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateRequirement {
    /// The type.
    pub type_id: TypeId,
    /// Its Rust path.
    pub type_name: &'static str,
    /// What may hold it: an `Arc`, or one that was registered as a value.
    pub(super) holders: [TypeId; 2],
}

impl StateRequirement {
    /// That of this type.
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self {
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
            holders: [TypeId::of::<Arc<T>>(), TypeId::of::<Arc<Arc<T>>>()],
        }
    }
}
