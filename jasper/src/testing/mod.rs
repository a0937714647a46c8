//! For tests: yours, and those of authors of stores.

pub mod conformance;
