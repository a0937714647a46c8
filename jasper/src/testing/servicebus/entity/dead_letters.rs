//! Messages that go to the dead letters of their entity.

use fe2o3_amqp_types::primitives::Value;

use super::super::letter;
use super::Entity;

const REASON: &str = "DeadLetterReason";
const DESCRIPTION: &str = "DeadLetterErrorDescription";

impl Entity {
    /// Moves a message, which keeps its sequence number and its delivery count. In the dead letters
    /// there is nowhere further to go: it stays.
    pub(super) fn dead_letter(
        &mut self,
        sequence: i64,
        reason: Option<&str>,
        description: Option<&str>,
    ) {
        let Some(dead_letters) = &mut self.dead_letters else {
            self.make_ready(sequence);
            return;
        };
        let Some(mut message) = self.messages.remove(&sequence) else {
            return;
        };
        for (name, text) in [(REASON, reason), (DESCRIPTION, description)] {
            if let Some(text) = text {
                let value = Value::String(text.to_owned());
                letter::set_properties(&mut message.letter, [(name, &value)]);
            }
        }
        message.session = None;
        message.expires_at = None;
        dead_letters.last_sequence = dead_letters.last_sequence.max(sequence);
        dead_letters.messages.insert(sequence, message);
        dead_letters.make_ready(sequence);
    }
}
