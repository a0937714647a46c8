//! The properties of queues, topics and subscriptions as XML has them.

use std::time::Duration;

use super::super::counts::Counts;
use super::super::namespace::Kind;
use super::super::refusal::{ARGUMENT_ERROR, NOT_IMPLEMENTED, Refusal};
use super::super::settings::EntitySettings;
use crate::transport::iso_duration;
use crate::transport::xml::Element;

pub(super) const NAMESPACE: &str =
    "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
pub(super) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const COUNTS: &str = "http://schemas.microsoft.com/netservices/2011/06/servicebus";
/// The longest span that .NET has, by which the service says that there is no bound.
const NO_BOUND: &str = "P10675199DT2H48M5.4775807S";
/// Longer ones count as no bound.
const LONG: Duration = Duration::from_secs(10_000 * 86_400);
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// The broker notes no times of entities.
const ALWAYS: &str = "2026-01-01T00:00:00Z";

/// Reads the properties of an entity.
///
/// # Errors
/// One has a value that the broker does not know or does not support.
pub(super) fn settings(description: &Element) -> Result<EntitySettings, Refusal> {
    let mut settings = EntitySettings::new();
    let (mut detects, mut window) = (false, TEN_MINUTES);
    for property in &description.children {
        match property.name.as_str() {
            "LockDuration" => settings.lock_duration = span(property)?,
            "MaxDeliveryCount" => {
                settings = settings.max_delivery_count(number(property)?);
            }
            "RequiresSession" => settings.requires_session = flag(property)?,
            "RequiresDuplicateDetection" => detects = flag(property)?,
            "DuplicateDetectionHistoryTimeWindow" => window = span(property)?,
            "DeadLetteringOnMessageExpiration" => {
                settings.dead_letters_expired = flag(property)?;
            }
            _ => check_unsupported(property)?,
        }
    }
    settings.duplicate_window = detects.then_some(window);
    Ok(settings)
}

/// Refuses what the broker would otherwise ignore in silence.
fn check_unsupported(property: &Element) -> Result<(), Refusal> {
    let is_default = match property.name.as_str() {
        "DefaultMessageTimeToLive" | "AutoDeleteOnIdle" => span(property)? >= LONG,
        "ForwardTo" | "ForwardDeadLetteredMessagesTo" | "UserMetadata" => {
            property.text().is_empty()
        }
        "EnablePartitioning" | "EnableExpress" | "IsAnonymousAccessible" => !flag(property)?,
        "Status" => property.text() == "Active",
        _ => true,
    };
    if is_default {
        return Ok(());
    }
    let description = format!("The test broker does not support '{}'.", property.name);
    Err(Refusal::new(NOT_IMPLEMENTED, description))
}

fn invalid(property: &Element) -> Refusal {
    let description = format!("'{}' has no valid value: '{}'.", property.name, property.text());
    Refusal::new(ARGUMENT_ERROR, description)
}

fn span(property: &Element) -> Result<Duration, Refusal> {
    iso_duration::read(property.text()).ok_or_else(|| invalid(property))
}

fn number(property: &Element) -> Result<u32, Refusal> {
    property.text().parse().ok().filter(|it| *it > 0).ok_or_else(|| invalid(property))
}

fn flag(property: &Element) -> Result<bool, Refusal> {
    match property.text() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(property)),
    }
}

/// All properties of an entity, in the order of the service.
pub(super) fn describe(kind: Kind, settings: &EntitySettings, counts: Counts) -> Element {
    let flag = |name: &str, value: bool| Element::of(name, value.to_string());
    let window = settings.duplicate_window.unwrap_or(TEN_MINUTES);
    let lock = Element::of("LockDuration", iso_duration::write(settings.lock_duration));
    let sessions = flag("RequiresSession", settings.requires_session);
    let to_live = Element::of("DefaultMessageTimeToLive", NO_BOUND);
    let expired = flag("DeadLetteringOnMessageExpiration", settings.dead_letters_expired);
    let window = Element::of("DuplicateDetectionHistoryTimeWindow", iso_duration::write(window));
    let deliveries = Element::of("MaxDeliveryCount", settings.max_delivery_count.to_string());
    let detects = flag("RequiresDuplicateDetection", settings.duplicate_window.is_some());
    let size = Element::of("MaxSizeInMegabytes", "1024");
    let properties = match kind {
        Kind::Queue => {
            vec![lock, size, detects, sessions, to_live, expired, window, deliveries]
        }
        Kind::Topic => vec![to_live, size, detects, window],
        Kind::Subscription => {
            let filters = flag("DeadLetteringOnFilterEvaluationExceptions", true);
            vec![lock, sessions, to_live, expired, filters, deliveries]
        }
    };
    let name = match kind {
        Kind::Queue => "QueueDescription",
        Kind::Topic => "TopicDescription",
        Kind::Subscription => "SubscriptionDescription",
    };
    Element::new(name)
        .with_attribute("xmlns", NAMESPACE)
        .with_attribute("xmlns:i", INSTANCE)
        .with_all(properties)
        .with_all(constants(kind))
        .with(numbers(counts))
        .with(Element::of("MessageCount", (counts.active + counts.locked).to_string()))
}

fn constants(kind: Kind) -> Vec<Element> {
    let mut all = vec![
        Element::of("EnableBatchedOperations", "true"),
        Element::of("SizeInBytes", "0"),
        Element::of("Status", "Active"),
        Element::of("CreatedAt", ALWAYS),
        Element::of("UpdatedAt", ALWAYS),
        Element::of("AccessedAt", ALWAYS),
        Element::of("AutoDeleteOnIdle", NO_BOUND),
        Element::of("EntityAvailabilityStatus", "Available"),
    ];
    if kind != Kind::Subscription {
        all.push(Element::of("SupportOrdering", "true"));
        all.push(Element::of("EnablePartitioning", "false"));
        all.push(Element::of("EnableExpress", "false"));
    }
    all
}

fn numbers(counts: Counts) -> Element {
    let number = |name: &str, count: usize| Element::of(format!("d2p1:{name}"), count.to_string());
    Element::new("CountDetails")
        .with_attribute("xmlns:d2p1", COUNTS)
        .with(number("ActiveMessageCount", counts.active + counts.locked))
        .with(number("DeadLetterMessageCount", counts.dead_lettered))
        .with(number("ScheduledMessageCount", counts.scheduled))
        .with(number("TransferMessageCount", 0))
        .with(number("TransferDeadLetterMessageCount", 0))
}
