//! The way in: listeners, and what becomes of what they receive.

mod answer;
mod dead_letters;
pub(crate) mod listeners;
mod receive;
mod receiver;
mod unknown;
