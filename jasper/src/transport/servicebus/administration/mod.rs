//! The management of a namespace over HTTP.

mod client;
mod description;

pub(super) use self::client::{Administrator, Failed, Put};
pub(super) use self::description::{
    described, entity_entry, filter_of, names_of_rules, rule_entry, subscription_entry,
};
