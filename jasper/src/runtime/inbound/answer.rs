//! Running the handler of a command whose sender waits for the answer.

use super::receive::from_peer;
use super::receiver::InboundReceiver;
use crate::runtime::handle::answer::answer_in_turn;
use crate::transport::{Answer, FailureKind, ReceivedRequest, RemoteFailure};

impl InboundReceiver {
    pub(super) async fn answer_request(&self, request: ReceivedRequest) -> Answer {
        let envelope = request.envelope;
        if let Err(excess) = envelope.check() {
            return Err(RemoteFailure::new(FailureKind::Codec, excess.to_string()));
        }
        let envelope = from_peer(envelope, request.peer.as_ref());
        answer_in_turn(&self.core, envelope, request.timeout).await
    }
}
