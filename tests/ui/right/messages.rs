//! Shapes of messages, and what their attributes say.

#![deny(warnings)]
#![allow(dead_code, reason = "nothing here is run")]

/// Structs of all shapes.
mod structs {
    use jasper::Event;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct Unit;

    #[derive(Event, Serialize, Deserialize)]
    struct Empty {}

    #[derive(Event, Serialize, Deserialize)]
    struct Tuple(u32, String);

    #[derive(Event, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Named {
        order_id: u64,
        #[serde(default)]
        notes: Vec<String>,
    }
}

/// An enum as a message, with the attributes of `serde`.
mod enums {
    use jasper::{Command, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Change {
        Rename { name: String },
        Remove,
    }

    #[handler]
    async fn change(cmd: Change) {
        match cmd {
            Change::Rename { name } => drop(name),
            Change::Remove => {}
        }
    }
}

/// A message that holds generic types, and types of others.
mod fields {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    use jasper::Event;
    use serde::{Deserialize, Serialize};
    use uuid::Uuid;

    #[derive(Serialize, Deserialize)]
    struct Page<T> {
        items: Vec<T>,
    }

    #[derive(Event, Serialize, Deserialize)]
    struct Listed {
        id: Uuid,
        page: Page<(Uuid, Option<String>)>,
        by_day: BTreeMap<String, f64>,
        at: SystemTime,
        within: Duration,
    }
}

/// Text that may be borrowed where it is made.
mod cow {
    use std::borrow::Cow;

    use jasper::Event;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    struct Noted {
        text: Cow<'static, str>,
    }
}

/// All keys of a command.
mod command_keys {
    use jasper::Command;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Receipt;

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "keys.place", version = 3, to = "durable://shop.internal:5580/orders")]
    #[command(reply = Receipt, deliver_within = "90s")]
    struct Place;
}

/// All keys of an event.
mod event_keys {
    use jasper::{Event, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize)]
    #[event(name = "keys.placed", version = 3, deliver_within = "2d", handled)]
    struct Placed;

    #[handler]
    async fn note(_: Placed) {}
}

/// Two versions of one message.
mod versions {
    pub mod v1 {
        #[derive(jasper::Event, serde::Serialize, serde::Deserialize)]
        #[event(name = "versions.placed", version = 1)]
        pub struct Placed;
    }

    pub mod v2 {
        #[derive(jasper::Event, serde::Serialize, serde::Deserialize)]
        #[event(name = "versions.placed", version = 2)]
        pub struct Placed {
            pub by: String,
        }
    }

    #[jasper::handler(queue = "v1")]
    async fn upgrade(_: v1::Placed) -> v2::Placed {
        v2::Placed { by: "nobody".into() }
    }
}

/// Other derives around.
mod derives {
    #[derive(
        Debug,
        Clone,
        Copy,
        PartialEq,
        Eq,
        Hash,
        PartialOrd,
        Ord,
        Default,
        jasper::Event,
        serde::Serialize,
        serde::Deserialize,
    )]
    struct Ticked(u64);
}

/// `serde` implemented by hand.
mod by_hand {
    use jasper::Event;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Event)]
    struct Celsius(f64);

    impl Serialize for Celsius {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_f64(self.0)
        }
    }

    impl<'de> Deserialize<'de> for Celsius {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            f64::deserialize(deserializer).map(Self)
        }
    }
}

/// Messages within a function.
mod in_a_function {
    fn test() -> impl jasper::Message {
        #[derive(jasper::Event, serde::Serialize, serde::Deserialize)]
        struct Local;
        Local
    }
}

/// A reply that need not be encoded, as its handler is in this process.
mod reply_in_process {
    use std::sync::mpsc::Sender;

    use jasper::{Command, Reply, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(reply = Sender<u32>)]
    struct Connect;

    #[handler]
    async fn connect(_: Connect) -> Reply<Sender<u32>> {
        Reply(std::sync::mpsc::channel().0)
    }
}
