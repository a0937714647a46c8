//! How many messages an entity has, as the service describes it.

use super::description::described;
use crate::transport::BrokerCounts;
use crate::transport::xml::Element;

/// The counts in the entry of a queue or a subscription; `None` where it has none.
pub(in super::super) fn counts_of(entry: &Element) -> Option<BrokerCounts> {
    let details = described(entry)?.child("CountDetails")?;
    let count = |name| details.child_text(name)?.parse().ok();
    Some(BrokerCounts::new(
        count("ActiveMessageCount")?,
        count("DeadLetterMessageCount")?,
        count("ScheduledMessageCount")?,
    ))
}
