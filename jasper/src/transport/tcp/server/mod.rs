//! The side that listens: accepts connections, and serves each until it ends or the listener stops.

mod accept;
mod reply_sizes;
mod screen;
mod session;
mod window;

pub(super) use self::accept::{ServerShared, listen};
