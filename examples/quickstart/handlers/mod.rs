//! One file for each handler.

mod place_order;
mod send_email;
