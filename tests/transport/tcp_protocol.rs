//! The TCP transport at its port, and its protocol as strangers speak it.

#[path = "tcp_protocol/certificates.rs"]
mod certificates;
#[path = "tcp_protocol/document.rs"]
mod document;
#[path = "tcp_protocol/exchange.rs"]
mod exchange;
#[path = "tcp_protocol/fuzz.rs"]
mod fuzz;
#[path = "tcp_protocol/hostile.rs"]
mod hostile;
#[path = "tcp_protocol/identity.rs"]
mod identity;
#[path = "tcp_protocol/loss.rs"]
mod loss;
#[path = "tcp_protocol/raw.rs"]
mod raw;
#[path = "tcp_protocol/receiver.rs"]
mod receiver;
#[path = "tcp_protocol/requests.rs"]
mod requests;
#[path = "tcp_protocol/secrets.rs"]
mod secrets;
#[path = "tcp_protocol/settings.rs"]
mod settings;
#[path = "tcp_protocol/shares.rs"]
mod shares;
#[path = "tcp_protocol/siege.rs"]
mod siege;
#[path = "tcp_protocol/telemetry.rs"]
mod telemetry;
#[path = "tcp_protocol/tls.rs"]
mod tls;
