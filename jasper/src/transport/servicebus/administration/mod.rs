//! The management of a namespace over HTTP.

mod answer;
mod client;
mod counts;
mod description;
mod failed;
mod link;
mod repeats;

pub(super) use self::client::{Administrator, Put};
pub(super) use self::counts::counts_of;
pub(super) use self::description::{
    described, entity_entry, filter_of, names_of_rules, rule_entry, subscription_entry,
};
pub(super) use self::failed::Failed;
