//! Messages as receivers get them.

use fe2o3_amqp_types::primitives::Value;

use super::super::letter;
use super::{Entity, Stored};

const SEQUENCE: &str = "x-opt-sequence-number";
const ENQUEUED_AT: &str = "x-opt-enqueued-time";
const LOCKED_UNTIL: &str = "x-opt-locked-until";
const STATE: &str = "x-opt-message-state";
const ACTIVE: i32 = 0;
const DEFERRED: i32 = 1;
const SCHEDULED: i32 = 2;

impl Stored {
    /// The bytes of the message with what the broker adds to it.
    pub(in super::super) fn encode(
        &self,
        locked_until: Option<i64>,
    ) -> Result<Vec<u8>, serde_amqp::Error> {
        self.encode_with(locked_until, None)
    }

    fn encode_with(
        &self,
        locked_until: Option<i64>,
        state: Option<i32>,
    ) -> Result<Vec<u8>, serde_amqp::Error> {
        let mut header = self.letter.header.clone().unwrap_or_default();
        header.delivery_count = self.delivery_count;
        let mut annotations = self.letter.message_annotations.clone().unwrap_or_default();
        letter::annotate(&mut annotations, SEQUENCE, Value::Long(self.sequence));
        letter::annotate(&mut annotations, ENQUEUED_AT, letter::timestamp(self.enqueued_at));
        if let Some(until) = locked_until {
            letter::annotate(&mut annotations, LOCKED_UNTIL, letter::timestamp(until));
        }
        if let Some(state) = state {
            letter::annotate(&mut annotations, STATE, Value::Int(state));
        }
        letter::encode_delivered(&self.letter, &header, &annotations)
    }
}

impl Entity {
    /// The bytes of a message that is only looked at, with its state.
    pub(in super::super) fn encode_peeked(
        &self,
        message: &Stored,
    ) -> Result<Vec<u8>, serde_amqp::Error> {
        let state = if message.scheduled_at.is_some() {
            SCHEDULED
        } else if self.deferred.contains(&message.sequence) {
            DEFERRED
        } else {
            ACTIVE
        };
        message.encode_with(None, Some(state))
    }
}
