//! The side that listens.

mod consume;
mod intake;
mod listener;
mod refused;

pub(super) use self::listener::{Listening, RabbitListener};
