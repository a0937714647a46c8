//! Endpoints of Azure Service Bus, on the test broker: modes, locks, faults, other programs.

#[path = "servicebus_endpoints/bench.rs"]
mod bench;
#[path = "servicebus_endpoints/conventions.rs"]
mod conventions;
#[path = "servicebus_endpoints/counts.rs"]
mod counts;
#[path = "servicebus_endpoints/dead_letters.rs"]
mod dead_letters;
#[path = "servicebus_endpoints/declaring.rs"]
mod declaring;
#[path = "servicebus_endpoints/declaring_faults.rs"]
mod declaring_faults;
#[path = "servicebus_endpoints/faults.rs"]
mod faults;
#[path = "servicebus_endpoints/foreign.rs"]
mod foreign;
#[path = "servicebus_endpoints/locks.rs"]
mod locks;
#[path = "servicebus_endpoints/sending.rs"]
mod sending;
#[path = "servicebus_endpoints/sessions.rs"]
mod sessions;
#[path = "servicebus_endpoints/settings.rs"]
mod settings;
#[path = "servicebus_endpoints/tls.rs"]
mod tls;
#[path = "servicebus_endpoints/tokens.rs"]
mod tokens;
#[path = "servicebus_endpoints/web_socket.rs"]
mod web_socket;
