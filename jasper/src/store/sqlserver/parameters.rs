//! Rows as parameters: many as one, which is JSON, with the bodies one after the other beside it;
//! one as its values.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::batch::{NamedValue, named, named_text};
use crate::envelope::time::{now, to_micros};
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::sql::placement::{self, PlacementColumns};
use crate::store::{DeadLetter, DeadLetterId, Incoming, Outgoing, Ownership, Subscription};

/// A list as a parameter.
pub(super) fn json<T: Serialize>(rows: &[T]) -> String {
    // Numbers, texts and nulls: there is nothing in them that JSON has not.
    serde_json::to_string(rows).unwrap_or_default()
}

/// An id as a `uniqueidentifier`: the database stores the first three groups of one with their
/// bytes reversed, and the column has those of the id as they are.
fn id(id: MessageId) -> Uuid {
    Uuid::from_bytes_le(*id.as_uuid().as_bytes())
}

fn as_text<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Text as JSON carries it to every server: not all take the character of the number 0. The body
/// has the original.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// The key of a row.
#[derive(Debug, Serialize)]
pub(super) struct KeyParameter<'r> {
    #[serde(serialize_with = "as_text")]
    id: Uuid,
    destination: &'r str,
    /// Where it stands in the list.
    at: usize,
}

impl<'r> KeyParameter<'r> {
    pub(super) fn of_letter((at, letter): (usize, &'r DeadLetterId)) -> Self {
        Self { id: id(letter.id), destination: letter.destination.as_str(), at }
    }
}

/// A letter on its way back into the inbox.
#[derive(Debug, Serialize)]
pub(super) struct ReplayParameter<'r> {
    #[serde(serialize_with = "as_text")]
    id: Uuid,
    destination: &'r str,
    #[serde(flatten)]
    body: BodyPlace,
}

impl<'r> ReplayParameter<'r> {
    pub(super) fn new((message, to): &'r (MessageId, Address), body: BodyPlace) -> Self {
        Self { id: id(*message), destination: to.as_str(), body }
    }
}

/// A row as it is held, with what is to become of it.
#[derive(Debug, Serialize)]
pub(super) struct HeldParameter<'r> {
    #[serde(serialize_with = "as_text")]
    id: Uuid,
    destination: &'r str,
    owner: i64,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) undone: Option<u8>,
    #[serde(flatten)]
    cause: Option<CauseParameter<'r>>,
}

#[derive(Debug, Serialize)]
struct CauseParameter<'r> {
    reason: &'static str,
    error_type: Cow<'r, str>,
    error_message: Cow<'r, str>,
}

impl<'r> HeldParameter<'r> {
    pub(super) fn new(row: &'r Ownership) -> Self {
        Self {
            id: id(row.id),
            destination: row.destination.as_str(),
            owner: row.owner.number(),
            attempts: row.attempts,
            due_at: None,
            undone: None,
            cause: None,
        }
    }

    /// One that becomes a dead letter.
    pub(super) fn with_cause(row: &'r Ownership, cause: &DeadLetterCause<'r>) -> Self {
        let cause = CauseParameter {
            reason: cause.reason.as_str(),
            error_type: storable(&cause.error_type).into_owned().into(),
            error_message: storable(&cause.error_message).into_owned().into(),
        };
        Self { cause: Some(cause), ..Self::new(row) }
    }

    /// Those of a row alone.
    pub(super) fn values(self) -> Vec<NamedValue<'r>> {
        let mut values = vec![
            named("@id", self.id),
            named("@destination", self.destination),
            named("@owner", self.owner),
            named("@attempts", i64::from(self.attempts)),
        ];
        if let Some(CauseParameter { reason, error_type, error_message }) = self.cause {
            values.extend([
                named("@reason", reason),
                named("@error_type", error_type),
                named("@error_message", error_message),
            ]);
        }
        values
    }
}

/// What a claim takes.
#[derive(Debug, Serialize, PartialEq, Eq, Hash)]
pub(super) struct SubscriptionParameter<'r> {
    destination: &'r str,
    message_type: &'r str,
}

impl<'r> SubscriptionParameter<'r> {
    pub(super) fn of(subscription: &'r Subscription) -> Self {
        let (destination, message_type) =
            (subscription.destination.as_str(), subscription.message_type.as_str());
        Self { destination, message_type }
    }
}

/// Where a body stands among the bodies, counted from 1 as SQL does.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct BodyPlace {
    start: usize,
    length: usize,
}

/// The bodies of many rows, one after the other.
#[derive(Debug, Default)]
pub(super) struct Bodies(pub(super) Vec<u8>);

impl Bodies {
    pub(super) fn push(&mut self, parts: [&[u8]; 2]) -> BodyPlace {
        let start = self.0.len() + 1;
        for part in parts {
            self.0.extend_from_slice(part);
        }
        BodyPlace { start, length: self.0.len() + 1 - start }
    }
}

/// What rows of both tables have.
#[derive(Debug, Serialize)]
struct EnvelopeParameter<'r> {
    #[serde(serialize_with = "as_text")]
    id: Uuid,
    destination: &'r str,
    message_type: String,
    #[serde(flatten)]
    body: BodyPlace,
    group_id: Option<Cow<'r, str>>,
    tenant_id: Option<Cow<'r, str>>,
    correlation_id: Option<Cow<'r, str>>,
    sent_at: i64,
    attempts: u32,
}

impl<'r> EnvelopeParameter<'r> {
    fn new(envelope: &'r Envelope, bodies: &mut Bodies) -> Self {
        let (head, payload) = envelope.to_parts();
        Self {
            id: id(envelope.id),
            destination: envelope.destination.as_str(),
            message_type: envelope.message_type.to_string(),
            body: bodies.push([&head, &payload]),
            group_id: envelope.group_id.as_deref().map(storable),
            tenant_id: envelope.tenant_id.as_deref().map(storable),
            correlation_id: envelope.correlation_id.as_deref().map(storable),
            sent_at: to_micros(envelope.sent_at),
            attempts: envelope.attempts,
        }
    }

    fn values(self, body: Bodies) -> Vec<NamedValue<'r>> {
        vec![
            named("@id", self.id),
            named("@destination", self.destination),
            named("@message_type", self.message_type),
            named("@body", body.0),
            named_text("@group_id", self.group_id),
            named_text("@tenant_id", self.tenant_id),
            named_text("@correlation_id", self.correlation_id),
            named("@sent_at", self.sent_at),
            named("@attempts", i64::from(self.attempts)),
        ]
    }
}

/// A row that is inserted into the inbox.
#[derive(Debug, Serialize)]
pub(super) struct IncomingParameter<'r> {
    #[serde(flatten)]
    envelope: EnvelopeParameter<'r>,
    status: &'static str,
    owner: i64,
    due_at: Option<i64>,
    retention: Option<i64>,
}

impl<'r> IncomingParameter<'r> {
    pub(super) fn new(row: &'r Incoming, bodies: &mut Bodies) -> Self {
        let PlacementColumns { status, owner, due_at, retention } = PlacementColumns::of(row);
        let envelope = EnvelopeParameter::new(&row.envelope, bodies);
        Self { envelope, status, owner, due_at, retention }
    }

    /// Those of a row alone.
    pub(super) fn values(row: &'r Incoming) -> Vec<NamedValue<'r>> {
        let mut body = Bodies::default();
        let Self { envelope, status, owner, due_at, retention } = Self::new(row, &mut body);
        let mut values = envelope.values(body);
        values.extend([
            named("@status", status),
            named("@owner", owner),
            named("@due_at", due_at),
            named("@retention", retention),
        ]);
        values
    }
}

/// A row that is inserted into the outbox.
#[derive(Debug, Serialize)]
pub(super) struct OutgoingParameter<'r> {
    #[serde(flatten)]
    envelope: EnvelopeParameter<'r>,
    owner: i64,
    deliver_by: Option<i64>,
}

impl<'r> OutgoingParameter<'r> {
    pub(super) fn new(row: &'r Outgoing, bodies: &mut Bodies) -> Self {
        let (owner, deliver_by) = placement::outgoing(row);
        Self { envelope: EnvelopeParameter::new(&row.envelope, bodies), owner, deliver_by }
    }

    /// Those of a row alone.
    pub(super) fn values(row: &'r Outgoing) -> Vec<NamedValue<'r>> {
        let mut body = Bodies::default();
        let Self { envelope, owner, deliver_by } = Self::new(row, &mut body);
        let mut values = envelope.values(body);
        values.extend([named("@owner", owner), named("@deliver_by", deliver_by)]);
        values
    }
}

/// The values of a letter whose type is known to fit, with the envelope of its body if that can be
/// read.
pub(super) fn letter_values<'r>(
    letter: &'r DeadLetter,
    message_type: &'r str,
    envelope: Option<&'r Envelope>,
) -> Vec<NamedValue<'r>> {
    let column = |text: fn(&Envelope) -> Option<&str>| envelope.and_then(text).map(storable);
    vec![
        named("@id", id(letter.id.id)),
        named("@destination", letter.id.destination.as_str()),
        named("@reason", letter.reason.as_str()),
        named("@message_type", message_type),
        named("@error_type", storable(&letter.error_type)),
        named("@error_message", storable(&letter.error_message)),
        named("@attempts", i64::from(letter.attempts)),
        named("@body", &letter.body[..]),
        named_text("@group_id", column(|envelope| envelope.group_id.as_deref())),
        named_text("@tenant_id", column(|envelope| envelope.tenant_id.as_deref())),
        named_text("@correlation_id", column(|envelope| envelope.correlation_id.as_deref())),
        named("@sent_at", to_micros(envelope.map_or_else(now, |envelope| envelope.sent_at))),
    ]
}
