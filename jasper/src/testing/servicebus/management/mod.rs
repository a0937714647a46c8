//! `$management` of an entity: locks, sessions, schedules, looks and rules by request and response.

mod messages;
mod request;
mod rules;
mod sessions;

use fe2o3_amqp_types::messaging::Body;
use fe2o3_amqp_types::primitives::Value;

use self::request::{Answer, Request};
use super::address::EntityName;
use super::letter::{self, Letter};
use super::namespace::Namespace;
use super::refusal::{NOT_IMPLEMENTED, Refusal};
use super::reply::{self, NO_CONTENT, OK};

/// Does what the request asks for, and answers.
pub(super) fn handle(
    namespace: &mut Namespace,
    entity: &EntityName,
    request: &Letter,
    now: i64,
) -> Letter {
    let nothing = Value::Null;
    let body = match &request.body {
        Body::Value(value) => &value.0,
        _ => &nothing,
    };
    let operation = letter::text_property(request, "operation").unwrap_or_default();
    let answer = operate(operation, Request { namespace, entity, body, now });
    match answer {
        Ok(Some(body)) => reply::response(request, OK, "OK", body),
        Ok(None) => reply::response(request, NO_CONTENT, "No Content", reply::map([])),
        Err(refusal) => reply::refused(request, &refusal),
    }
}

fn operate(operation: &str, request: Request<'_>) -> Answer {
    match operation.strip_prefix("com.microsoft:").unwrap_or_default() {
        "renew-lock" => messages::renew_locks(request),
        "peek-message" => messages::peek(request),
        "receive-by-sequence-number" => messages::receive_deferred(request),
        "update-disposition" => messages::settle(request),
        "schedule-message" => messages::schedule(request),
        "cancel-scheduled-message" => messages::cancel(request),
        "renew-session-lock" => sessions::renew(request),
        "get-session-state" => sessions::state(request),
        "set-session-state" => sessions::set_state(request),
        "get-message-sessions" => sessions::list(request),
        "add-rule" => rules::add(request),
        "remove-rule" => rules::remove(request),
        "enumerate-rules" => rules::list(request),
        _ => {
            let description = format!("The test broker does not support '{operation}'.");
            Err(Refusal::new(NOT_IMPLEMENTED, description))
        }
    }
}
