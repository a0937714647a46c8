//! What is noted while a value is written.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::ser::Error;

/// The deepest nesting that `serde_json` reads.
pub(super) const MAX_DEPTH: usize = 127;

/// Why a value is not written.
pub(super) enum Refused {
    NotFinite { field: String },
    TooDeep { field: String },
    Other(serde_json::Error),
}

/// What was written that some types cannot read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Findings {
    /// Anything of that kind.
    pub(super) needs_proof: bool,
    /// An integer of 128 bits.
    pub(super) is_wide: bool,
}

#[derive(Clone, Copy)]
pub(super) enum JsonFault {
    NotFinite,
    TooDeep,
}

/// What is known of the value so far.
#[derive(Default)]
pub(super) struct Watch {
    depth: Cell<usize>,
    pub(super) found: Cell<Findings>,
    pub(super) fault: Cell<Option<JsonFault>>,
    /// Where the fault is, from the inside out. Names from the source alone: what keys of maps hold
    /// is not to be shown.
    path: RefCell<Vec<&'static str>>,
    /// The key that was written last, if it is text.
    pub(super) key: Cell<Option<u64>>,
}

impl Watch {
    pub(super) fn refuse<E: Error>(&self, fault: JsonFault) -> E {
        self.fault.set(Some(fault));
        E::custom("cannot be read again")
    }

    pub(super) fn flag(&self) {
        self.found.set(Findings { needs_proof: true, ..self.found.get() });
    }

    pub(super) fn enter<E: Error>(&self, levels: usize) -> Result<(), E> {
        let depth = self.depth.get() + levels;
        self.depth.set(depth);
        if depth > MAX_DEPTH { Err(self.refuse(JsonFault::TooDeep)) } else { Ok(()) }
    }

    pub(super) fn leave(&self, levels: usize) {
        self.depth.set(self.depth.get() - levels);
    }

    /// Notes where a fault is, on the way out of it.
    pub(super) fn at<T, E>(&self, name: &'static str, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() && self.fault.get().is_some() {
            self.path.borrow_mut().push(name);
        }
        result
    }

    pub(super) fn field(&self) -> String {
        let path = self.path.borrow();
        // Of a deep nesting the outer part is enough.
        let mut text = String::new();
        for name in path.iter().rev().take(8) {
            let is_first = text.is_empty() || *name == EACH;
            text.push_str(if is_first { "" } else { "." });
            text.push_str(name);
        }
        if text.is_empty() { "a part of it".to_owned() } else { format!("`{text}`") }
    }
}

/// A value that is serialized under watch; `strict.rs` says how.
pub(super) struct Watched<'a, T: ?Sized> {
    pub(super) value: &'a T,
    pub(super) watch: &'a Watch,
    pub(super) is_key: bool,
}

/// An element of a sequence or a map, in the path to a fault.
pub(super) const EACH: &str = "[]";

pub(super) fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
