//! What a process holds in memory is bounded: in messages and in bytes, whichever way they take.

#[path = "bounded_memory/budget.rs"]
mod budget;
#[path = "bounded_memory/send_all.rs"]
mod send_all;
#[path = "bounded_memory/waiting.rs"]
mod waiting;
