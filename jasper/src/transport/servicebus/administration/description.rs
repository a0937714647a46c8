//! What the service writes of entities and rules: entries of Atom with a description in them.

use std::collections::BTreeMap;

use super::super::topology::{
    CorrelationFilter, DELIVERIES, DETECTS, EXPIRED, Filter, LOCK_DURATION, Properties, Property,
    SESSIONS, Subscription, WINDOW,
};
use crate::transport::xml::Element;

const ATOM: &str = "http://www.w3.org/2005/Atom";
const SERVICE: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
const RULES: &str = "DefaultRuleDescription";
/// Handlers' attempts are counted in the store, and a delivery counts where a process was killed.
const MANY_DELIVERIES: u32 = 100;

/// The order in which the service reads properties: what stands elsewhere is ignored.
const ORDER: [&str; 7] = [LOCK_DURATION, DETECTS, SESSIONS, EXPIRED, WINDOW, RULES, DELIVERIES];
/// The fields of a correlation filter, in their order.
const FIELDS: [&str; 2] = ["CorrelationId", "Label"];

/// The entry of a queue (`QueueDescription`) or a topic (`TopicDescription`).
pub(in super::super) fn entity_entry(kind: &str, properties: &Properties) -> Element {
    let mut properties = properties.clone();
    if kind == "QueueDescription" {
        properties.entry(DELIVERIES).or_insert(Property::Number(MANY_DELIVERIES));
    }
    entry(kind, in_order(&properties, None))
}

/// The entry of a subscription with its first rule, so that it never has the rule that lets
/// everything through beside it.
pub(in super::super) fn subscription_entry(subscription: &Subscription) -> Element {
    let mut properties = subscription.properties.clone();
    properties.entry(DELIVERIES).or_insert(Property::Number(MANY_DELIVERIES));
    let first = subscription.rules.first_key_value();
    let first = first.map(|(name, filter)| Element::new(RULES).with_all(rule(name, filter)));
    entry("SubscriptionDescription", in_order(&properties, first))
}

/// The entry of a rule.
pub(in super::super) fn rule_entry(name: &str, filter: &Filter) -> Element {
    entry("RuleDescription", rule(name, filter).into_iter().collect())
}

fn in_order(properties: &Properties, mut rule: Option<Element>) -> Vec<Element> {
    let one = |name: &&'static str| match properties.get(name) {
        Some(property) => Some(Element::of(*name, property.text())),
        None if *name == RULES => rule.take(),
        None => None,
    };
    ORDER.iter().filter_map(one).collect()
}

fn entry(kind: &str, properties: Vec<Element>) -> Element {
    let description = Element::new(kind)
        .with_attribute("xmlns", SERVICE)
        .with_attribute("xmlns:i", INSTANCE)
        .with_all(properties);
    let content = Element::new("content").with_attribute("type", "application/xml");
    Element::new("entry").with_attribute("xmlns", ATOM).with(content.with(description))
}

fn rule(name: &str, filter: &Filter) -> [Element; 3] {
    let of_type = |element: &str, kind: &str| Element::new(element).with_attribute("i:type", kind);
    let filter = match filter {
        Filter::Sql(expression) => {
            let expression = Element::of("SqlExpression", expression.clone());
            let level = Element::of("CompatibilityLevel", "20");
            of_type("Filter", "SqlFilter").with(expression).with(level)
        }
        Filter::Correlation(filter) => {
            let field = |name: &&'static str| {
                filter.fields.get(name).map(|text| Element::of(*name, text.clone()))
            };
            let fields = FIELDS.iter().filter_map(field);
            of_type("Filter", "CorrelationFilter").with_all(fields).with_all(properties(filter))
        }
    };
    [filter, of_type("Action", "EmptyRuleAction"), Element::of("Name", name)]
}

fn properties(filter: &CorrelationFilter) -> Option<Element> {
    if filter.properties.is_empty() {
        return None;
    }
    let property = |(name, value): (&String, &String)| {
        let value = Element::of("Value", value.clone())
            .with_attribute("xmlns:l", SCHEMA)
            .with_attribute("i:type", "l:string");
        Element::new("KeyValueOfstringanyType").with(Element::of("Key", name.clone())).with(value)
    };
    Some(Element::new("Properties").with_all(filter.properties.iter().map(property)))
}

/// What an entry describes: its name says what it is.
pub(in super::super) fn described(entry: &Element) -> Option<&Element> {
    entry.child("content")?.children.first()
}

/// The rules of a list, by their names, with their filters.
pub(in super::super) fn names_of_rules(feed: &Element) -> BTreeMap<String, &Element> {
    let entries = feed.children.iter().filter(|child| child.name == "entry");
    let rule = |entry| {
        let description = described(entry)?;
        Some((description.child_text("Name")?.to_owned(), description.child("Filter")?))
    };
    entries.filter_map(rule).collect()
}

/// The filter in an element; `None` where it is none that can be declared here.
pub(in super::super) fn filter_of(element: &Element) -> Option<Filter> {
    if let Some(expression) = element.child_text("SqlExpression") {
        return Some(Filter::sql(expression));
    }
    let mut filter = CorrelationFilter::new();
    for child in &element.children {
        match FIELDS.iter().find(|known| **known == child.name) {
            Some(name) => filter = filter.field(name, child.text()),
            None if child.name == "Properties" => {
                for property in &child.children {
                    let value = property.child("Value")?;
                    let is_text = value.attribute("type").is_some_and(|it| it.ends_with("string"));
                    let key = property.child_text("Key").filter(|_| is_text)?;
                    filter = filter.property(key, value.text());
                }
            }
            None if child.text().is_empty() => {}
            None => return None,
        }
    }
    Some(Filter::Correlation(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_back_as_it_was_written() {
        let paint = CorrelationFilter::new().subject("paint").property("colour", "<blue>");
        for filter in [Filter::sql("a > 'x'"), Filter::from(paint)] {
            let text = rule_entry("mine", &filter).document();
            let entry = Element::read(&text).unwrap();
            let found = described(&entry).unwrap().child("Filter").unwrap();
            assert_eq!(filter_of(found), Some(filter));
        }
    }

    #[test]
    fn properties_stand_in_the_order_in_which_the_service_reads_them() {
        let subscription = Subscription::new("news", "mine")
            .max_delivery_count(3)
            .requires_session()
            .rule("sql", Filter::sql("1=1"));
        let entry = subscription_entry(&subscription);
        let names = described(&entry).unwrap().children.iter().map(|child| child.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), [SESSIONS, RULES, DELIVERIES]);
    }
}
