//! A message of the protocol.

use fe2o3_amqp_types::messaging::{Body, Message};
use fe2o3_amqp_types::primitives::Value;

/// A message in its sections, whatever is in them.
pub(in super::super) type Letter = Message<Body<Value>>;
