//! What the shop does, one file for each handler. The messages come from another crate; so does the
//! program that runs this.

mod order_more;
mod reserve;

use std::collections::HashMap;
use std::sync::Mutex;

pub use order_more::order_more;
pub use reserve::reserve;

/// How many of each article there are.
#[derive(Debug, Default)]
pub struct Stock(pub Mutex<HashMap<String, u32>>);
