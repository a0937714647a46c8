//! A test broker that speaks the protocol of Azure Service Bus.
//!
//! It is a **test double**: it keeps everything in memory, listens on 127.0.0.1 only, has one key,
//! and exists so that tests and examples need no Azure. Microsoft's own clients for
//! Python and JavaScript are run against it, unmodified, in the tests of this project. What it does
//! was written from the documentation and from what those clients ask for; it was not compared with
//! a real namespace.
//!
//! ```
//! use jasper::testing::servicebus::{Broker, EntitySettings};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let broker = Broker::start().await?;
//! broker.create_queue("orders", EntitySettings::new().max_delivery_count(3))?;
//! println!("{}", broker.connection_string());
//! assert_eq!(broker.counts("orders").active, 0);
//! # Ok::<(), jasper::testing::servicebus::BrokerError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it has
//!
//! - AMQP 1.0 over TCP with SASL (PLAIN with the key, ANONYMOUS, EXTERNAL, MSSBCBS), and tokens at
//!   `$cbs`, whose signature and expiry are checked. A link needs a token for its entity.
//! - Queues, topics and subscriptions, dead letters (`NAME/$DeadLetterQueue`), batches, the limit
//!   on the size of a message.
//! - Receiving with locks or with deletion, all outcomes with their echo, lock expiry, delivery
//!   counts with their maximum, deferral.
//! - Sessions: by name and the next one, their order, state, locks and their release.
//! - Scheduled messages and their cancel, time to live, duplicate detection.
//! - `$management`: renew-lock, renew-session-lock, get-session-state, set-session-state,
//!   schedule-message, cancel-scheduled-message, peek-message, receive-by-sequence-number,
//!   update-disposition, get-message-sessions, add-rule, remove-rule, enumerate-rules.
//!
//! - Rules with filters that compare properties, and with filters in SQL: comparisons, `AND`, `OR`,
//!   `NOT`, `IN`, `LIKE`, `IS NULL`, `EXISTS`, over properties of the application and `sys.` ones.
//! - The management of queues, topics, subscriptions and rules over HTTP, at a port of its own.
//! - AMQP through a WebSocket, at the port of the management.
//! - TLS at both ports, with a certificate of yours.
//!
//! # What it does not have
//!
//! - Microsoft Entra tokens, several keys or rights of keys.
//! - Transactions, partitions, forwarding, the transfer dead-letter queue.
//! - Rules with actions, and what of the service's SQL the rules above do not have: arithmetic,
//!   functions, parameters, `ESCAPE`, other `sys.` properties. They are refused in words.
//! - The limits of the service on numbers and sizes, but for the size of a message.
//!
//! A message whose time to live has passed is removed when it is about to be delivered.

mod access;
mod address;
mod administration;
mod administration_failure;
mod broker;
mod broker_error;
mod channel;
mod clock;
mod connection;
mod counts;
mod door;
mod entity;
mod faults;
mod letter;
mod management;
mod namespace;
mod refusal;
mod reply;
mod rules;
mod sasl;
mod settings;
mod settlement;
mod shared;
mod shared_access;
mod sql;
mod web_socket;
mod wire;

pub use self::administration_failure::AdministrationFailure;
pub use self::broker::{Broker, BrokerBuilder};
pub use self::broker_error::BrokerError;
pub use self::counts::Counts;
pub use self::faults::BrokerFaults;
pub use self::rules::{CorrelationFilter, Filter, SqlFilter};
pub use self::settings::EntitySettings;
