//! The RabbitMQ transport beyond what every transport has to keep.

#[path = "rabbitmq/bench.rs"]
mod bench;
#[path = "rabbitmq/conventions.rs"]
mod conventions;
#[path = "rabbitmq/dead_letters.rs"]
mod dead_letters;
#[path = "rabbitmq/declaring.rs"]
mod declaring;
#[path = "rabbitmq/dialling.rs"]
mod dialling;
#[path = "rabbitmq/faults.rs"]
mod faults;
#[path = "rabbitmq/foreign.rs"]
mod foreign;
#[path = "rabbitmq/mapper.rs"]
mod mapper;
#[path = "rabbitmq/modes.rs"]
mod modes;
#[path = "rabbitmq/outages.rs"]
mod outages;
#[path = "rabbitmq/settings.rs"]
mod settings;
#[path = "rabbitmq/streams.rs"]
mod streams;
#[path = "rabbitmq/tls.rs"]
mod tls;
