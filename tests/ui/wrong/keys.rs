//! Mistakes in the attributes of messages.

mod reply_in_quotes {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = "u8")]
    struct Run;
}

mod reply_without_a_type {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply)]
    struct Run;
}

mod name_alone {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command("place")]
    struct Run;
}

mod name_without_quotes {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = place)]
    struct Run;
}

mod name_with_a_space {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "place order")]
    struct Run;
}

mod name_with_capitals {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "PlaceOrder")]
    struct Run;
}

mod name_with_an_underscore {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "place_order")]
    struct Run;
}

mod version_as_text {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(version = "2")]
    struct Run;
}

mod version_of_zero {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(version = 0)]
    struct Run;
}

mod version_too_large {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(version = 70000)]
    struct Run;
}

mod to_without_quotes {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = shipping)]
    struct Run;
}

mod to_twice {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "shipping", to = "billing")]
    struct Run;
}

mod to_with_http {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "http://shipping:80")]
    struct Run;
}

mod to_without_a_port {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(to = "durable://shipping")]
    struct Run;
}

mod handled_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(handled)]
    struct Run;
}

mod queue_of_a_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(queue = "orders")]
    struct Run;
}

mod durable_command {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(durable)]
    struct Run;
}

mod lifetime_as_a_number {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(deliver_within = 30)]
    struct Run;
}

mod lifetime_without_a_unit {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(deliver_within = "30")]
    struct Run;
}

mod command_with_an_equals_sign {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command = "place"]
    struct Run;
}

mod typo_in_a_key {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(nmae = "place")]
    struct Run;
}

mod unknown_reply {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = Receipt)]
    struct Run;
}

mod event_with_to {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    #[event(to = "billing")]
    struct Ran;
}

mod event_with_a_reply {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    #[event(reply = u8)]
    struct Ran;
}

mod event_with_a_queue {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    #[event(queue = "emails")]
    struct Ran;
}

mod handled_with_a_value {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    #[event(handled = true)]
    struct Ran;
}

mod handled_twice {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    #[event(handled, handled)]
    struct Ran;
}

fn main() {}
