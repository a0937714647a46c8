//! The way in: listeners, and what becomes of what they receive.

mod answer;
pub(crate) mod listeners;
mod receive;
mod receiver;
mod unknown;
