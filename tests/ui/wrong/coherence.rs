//! Mistakes that end the compiler's work before it looks at anything else.

mod command_and_event {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Event, Serialize, Deserialize)]
    struct PlaceOrder;
}

fn main() {}
