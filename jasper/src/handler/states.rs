//! The values that an application registers for its handlers.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::requirement::StateRequirement;

/// The values that the builder's `state` registered, by the types of the `Arc`s that hold them.
#[derive(Default, Clone)]
pub struct States(HashMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>);

impl States {
    /// Registers a value, replacing one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<Arc<T>>(), (type_name::<T>(), Arc::new(Arc::new(value))));
    }

    /// The value of this type, or the one in an `Arc` that was registered: an `Arc<dyn Trait>` is
    /// that of a `dyn Trait` too.
    pub fn get<T: Send + Sync + ?Sized + 'static>(&self) -> Option<Arc<T>> {
        let shared = || self.exactly::<Arc<Arc<T>>>().map(|shared| Arc::clone(&**shared));
        self.exactly::<Arc<T>>().cloned().or_else(shared)
    }

    fn exactly<A: Any>(&self) -> Option<&A> {
        let (_, value) = self.0.get(&TypeId::of::<A>())?;
        value.downcast_ref()
    }

    /// Whether there is the value that a handler needs.
    pub(crate) fn meets(&self, requirement: &StateRequirement) -> bool {
        requirement.holders.iter().any(|holder| self.0.contains_key(holder))
    }

    /// The types of the values, in order, without those of jasper itself.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .0
            .values()
            .map(|(name, _)| *name)
            .filter(|name| !name.starts_with("jasper::"))
            .collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}
