//! Operations on sessions.

use fe2o3_amqp_types::primitives::{Binary, Value};

use super::super::letter;
use super::super::reply;
use super::request::{Answer, Request};

pub(super) fn renew(request: Request<'_>) -> Answer {
    let session = request.text("session-id")?;
    let entity = request.namespace.receiving(request.entity)?;
    let until = entity.renew_session(session, request.now)?;
    Ok(Some(reply::map([("expiration", letter::timestamp(until))])))
}

pub(super) fn state(request: Request<'_>) -> Answer {
    let session = request.text("session-id")?;
    let entity = request.namespace.receiving(request.entity)?;
    let state = entity.session_state(session).map(|state| Value::Binary(Binary::from(state)));
    Ok(Some(reply::map([("session-state", state.unwrap_or_default())])))
}

pub(super) fn set_state(request: Request<'_>) -> Answer {
    let session = request.text("session-id")?;
    let state = match reply::entry(request.body, "session-state") {
        Some(Value::Binary(state)) => Some(state.to_vec()),
        Some(Value::String(state)) => Some(state.clone().into_bytes()),
        _ => None,
    };
    let entity = request.namespace.receiving(request.entity)?;
    entity.set_session_state(session, state, request.now)?;
    Ok(Some(reply::map([])))
}
