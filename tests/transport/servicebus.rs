//! The test broker of Service Bus, with clients that know nothing of it as judges.

#[path = "servicebus/bench.rs"]
mod bench;
#[path = "servicebus/client.rs"]
mod client;
#[path = "servicebus/faults.rs"]
mod faults;
#[path = "servicebus/node.rs"]
mod node;
#[path = "servicebus/python.rs"]
mod python;
#[path = "servicebus/steps.rs"]
mod steps;
