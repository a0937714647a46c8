//! Operations on sessions.

use fe2o3_amqp_types::primitives::{Array, Binary, Value};

use super::super::letter;
use super::super::refusal::{NOT_ALLOWED, Refusal};
use super::super::reply;
use super::request::{Answer, Request, missing};

/// The end of the times of .NET, in milliseconds: clients name it where they ask for all sessions.
const ALL_MS: i64 = 253_402_300_800_000;

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

/// Those with messages or a state; or those whose state has been set since a time.
pub(super) fn list(request: Request<'_>) -> Answer {
    let Value::Timestamp(since) = request.entry("last-updated-time")? else {
        return Err(missing("last-updated-time"));
    };
    let since = Some(since.milliseconds()).filter(|since| *since < ALL_MS);
    let number = |name| Ok::<_, Refusal>(usize::try_from(request.number(name)?).unwrap_or(0));
    let (skip, top) = (number("skip")?, number("top")?);
    let entity = request.namespace.receiving(request.entity)?;
    if !entity.requires_session() {
        return Err(Refusal::new(NOT_ALLOWED, "The entity has no sessions."));
    }
    let names = entity.session_names(since).into_iter().skip(skip).take(top);
    let names: Vec<_> = names.map(Value::String).collect();
    let end = i32::try_from(skip.saturating_add(names.len())).unwrap_or(i32::MAX);
    // The service says that there is nothing by the status.
    Ok((!names.is_empty()).then(|| {
        reply::map([("sessions-ids", Value::Array(Array(names))), ("skip", Value::Int(end))])
    }))
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
