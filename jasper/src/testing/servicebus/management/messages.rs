//! Operations on messages.

use fe2o3_amqp_types::primitives::{Array, Binary, Value};

use super::super::letter;
use super::super::refusal::{ARGUMENT_ERROR, NOT_IMPLEMENTED, Refusal};
use super::super::reply;
use super::super::settlement::Settlement;
use super::request::{Answer, Request, missing, unwritable};

pub(super) fn renew_locks(request: Request<'_>) -> Answer {
    let tokens = request.lock_tokens()?;
    let entity = request.namespace.receiving(request.entity)?;
    let renewed = tokens.into_iter().map(|token| entity.renew(token, request.now));
    let ends = renewed.map(|until| until.map(letter::timestamp)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(reply::map([("expirations", Value::Array(Array(ends)))])))
}

pub(super) fn peek(request: Request<'_>) -> Answer {
    let from = request.number("from-sequence-number")?;
    let count = usize::try_from(request.number("message-count")?).unwrap_or(0);
    let session = request.optional_text("session-id");
    let entity = request.namespace.receiving(request.entity)?;
    let messages = entity.peek(from, session, count).into_iter().map(|message| {
        let bytes = entity.encode_peeked(message).map_err(|error| unwritable(&error))?;
        Ok(reply::map([("message", Value::Binary(Binary::from(bytes)))]))
    });
    let messages = messages.collect::<Result<Vec<_>, Refusal>>()?;
    // The service says that there is nothing by the status.
    let body = (!messages.is_empty()).then(|| reply::map([("messages", Value::List(messages))]));
    Ok(body)
}

pub(super) fn receive_deferred(request: Request<'_>) -> Answer {
    let numbers = request.sequence_numbers()?;
    // 0 settles at once, 1 locks.
    let is_locking = request.number("receiver-settle-mode")? == 1;
    let entity = request.namespace.receiving(request.entity)?;
    let messages = numbers.into_iter().map(|number| {
        let delivery = entity.take_deferred(number, is_locking, request.now)?;
        let bytes = delivery.message.encode(delivery.locked_until);
        let bytes = bytes.map_err(|error| unwritable(&error))?;
        Ok(reply::map([
            ("lock-token", Value::Uuid((*delivery.token.as_bytes()).into())),
            ("message", Value::Binary(Binary::from(bytes))),
        ]))
    });
    let messages = messages.collect::<Result<Vec<_>, Refusal>>()?;
    Ok(Some(reply::map([("messages", Value::List(messages))])))
}

pub(super) fn settle(request: Request<'_>) -> Answer {
    let settlement = settlement(&request)?;
    let tokens = request.lock_tokens()?;
    let entity = request.namespace.receiving(request.entity)?;
    for token in tokens {
        entity.settle(token, settlement.clone(), request.now)?;
    }
    Ok(Some(reply::map([])))
}

fn settlement(request: &Request<'_>) -> Result<Settlement, Refusal> {
    let text = |name| request.optional_text(name).map(str::to_owned);
    let mut properties = Vec::new();
    if let Some(Value::Map(map)) = reply::entry(request.body, "properties-to-modify") {
        let pairs = map.iter().filter_map(|(key, value)| Some((reply::text(key)?, value)));
        properties.extend(pairs.map(|(key, value)| (key.to_owned(), value.clone())));
    }
    match request.text("disposition-status")? {
        "completed" => Ok(Settlement::Complete),
        "abandoned" => Ok(Settlement::Abandon(properties)),
        // The service's own spelling.
        "defered" => Ok(Settlement::Defer(properties)),
        "suspended" => Ok(Settlement::DeadLetter {
            reason: text("deadletter-reason"),
            description: text("deadletter-description"),
            properties,
        }),
        other => {
            let description = format!("The disposition status '{other}' is not supported.");
            Err(Refusal::new(NOT_IMPLEMENTED, description))
        }
    }
}

pub(super) fn schedule(request: Request<'_>) -> Answer {
    let mut letters = Vec::new();
    for entry in reply::elements(request.entry("messages")?) {
        let Some(Value::Binary(bytes)) = reply::entry(entry, "message") else {
            return Err(missing("message"));
        };
        letters.push(letter::decode(bytes)?);
    }
    if letters.iter().any(|letter| letter::scheduled_at(letter).is_none()) {
        let description = "A message to be scheduled has no 'x-opt-scheduled-enqueue-time'.";
        return Err(Refusal::new(ARGUMENT_ERROR, description));
    }
    let numbers = request.namespace.send(request.entity, letters, request.now)?;
    // The service has a number for a duplicate too, which cancels nothing.
    let numbers = numbers.into_iter().map(|number| Value::Long(number.unwrap_or(0))).collect();
    Ok(Some(reply::map([("sequence-numbers", Value::Array(Array(numbers)))])))
}

pub(super) fn cancel(request: Request<'_>) -> Answer {
    let numbers = request.sequence_numbers()?;
    let entity = request.namespace.any(request.entity)?;
    numbers.into_iter().try_for_each(|number| entity.cancel(number))?;
    Ok(Some(reply::map([])))
}
