//! Rules as XML has them.

use fe2o3_amqp_types::primitives::SimpleValue;

use super::super::refusal::{ARGUMENT_ERROR, NOT_IMPLEMENTED, Refusal};
use super::super::rules::{CorrelationFilter, Filter};
use super::description::{INSTANCE, NAMESPACE};
use crate::transport::xml::Element;

const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
const PROPERTY: &str = "KeyValueOfstringanyType";
/// The fields of a correlation filter, by their names in a request over AMQP and in XML.
const FIELDS: [(&str, &str); 8] = [
    ("correlation-id", "CorrelationId"),
    ("message-id", "MessageId"),
    ("to", "To"),
    ("reply-to", "ReplyTo"),
    ("label", "Label"),
    ("session-id", "SessionId"),
    ("reply-to-session-id", "ReplyToSessionId"),
    ("content-type", "ContentType"),
];

/// Reads a rule with its name, where it says one.
///
/// # Errors
/// The broker does not support its filter or its action, or cannot read them.
pub(super) fn read(rule: &Element) -> Result<(Option<String>, Filter), Refusal> {
    let action = rule.child("Action").and_then(|action| action.child_text("SqlExpression"));
    if action.is_some_and(|expression| !expression.is_empty()) {
        let description = "The test broker does not support actions of rules.";
        return Err(Refusal::new(NOT_IMPLEMENTED, description));
    }
    let name = rule.child_text("Name").filter(|name| !name.is_empty()).map(str::to_owned);
    let Some(filter) = rule.child("Filter") else {
        return Ok((name, Filter::True));
    };
    let filter = match filter.attribute("type").unwrap_or_default() {
        "TrueFilter" => Filter::True,
        "FalseFilter" => Filter::False,
        "SqlFilter" => {
            if filter.child("Parameters").is_some_and(|it| !it.children.is_empty()) {
                let description = "The test broker does not support parameters of filters in SQL.";
                return Err(Refusal::new(NOT_IMPLEMENTED, description));
            }
            Filter::from_sql(filter.child_text("SqlExpression").unwrap_or_default())?
        }
        "CorrelationFilter" => Filter::Correlation(correlation(filter)?),
        other => {
            let description = format!("'{other}' is no kind of a filter.");
            return Err(Refusal::new(ARGUMENT_ERROR, description));
        }
    };
    Ok((name, filter))
}

fn correlation(wanted: &Element) -> Result<CorrelationFilter, Refusal> {
    let mut filter = CorrelationFilter::new();
    for (field, name) in FIELDS {
        if let Some(text) = wanted.child_text(name) {
            filter = filter.field(field, text);
        }
    }
    for property in wanted.child("Properties").iter().flat_map(|all| &all.children) {
        let pair = property.child_text("Key").zip(property.child("Value").and_then(typed));
        let (name, value) = pair.ok_or_else(|| {
            Refusal::new(ARGUMENT_ERROR, "A property of the filter has no value of a known type.")
        })?;
        filter.properties.insert(name.to_owned(), value);
    }
    Ok(filter)
}

/// A value by the type that its attribute says.
fn typed(value: &Element) -> Option<SimpleValue> {
    let text = value.text();
    let kind = value.attribute("type")?;
    match kind.rsplit_once(':').map_or(kind, |(_, name)| name) {
        "string" => Some(SimpleValue::String(text.to_owned())),
        "int" => text.parse().ok().map(SimpleValue::Int),
        "long" => text.parse().ok().map(SimpleValue::Long),
        "double" => text.parse::<f64>().ok().map(|number| SimpleValue::Double(number.into())),
        "boolean" => text.parse().ok().map(SimpleValue::Bool),
        _ => None,
    }
}

/// The rule as the service shows it.
pub(super) fn describe(name: &str, filter: &Filter) -> Element {
    let of_type = |kind: &str| Element::new("Filter").with_attribute("i:type", kind);
    let sql = |kind: &str, expression: &str| {
        let level = Element::of("CompatibilityLevel", "20");
        of_type(kind).with(Element::of("SqlExpression", expression)).with(level)
    };
    let filter = match filter {
        Filter::True => sql("TrueFilter", "1=1"),
        Filter::False => sql("FalseFilter", "1=0"),
        Filter::Sql(filter) => sql("SqlFilter", filter.0.text()),
        Filter::Correlation(filter) => {
            let field = |(field, name): &(&str, &str)| {
                filter.fields.get(*field).map(|text| Element::of(*name, text.clone()))
            };
            let fields = FIELDS.iter().filter_map(field);
            of_type("CorrelationFilter").with_all(fields).with_all(properties(filter))
        }
    };
    Element::new("RuleDescription")
        .with_attribute("xmlns", NAMESPACE)
        .with_attribute("xmlns:i", INSTANCE)
        .with(filter)
        .with(Element::new("Action").with_attribute("i:type", "EmptyRuleAction"))
        .with(Element::of("Name", name))
}

fn properties(filter: &CorrelationFilter) -> Option<Element> {
    if filter.properties.is_empty() {
        return None;
    }
    let property = |(name, value): (&String, &SimpleValue)| {
        let (kind, text) = match value {
            SimpleValue::Int(number) => ("int", number.to_string()),
            SimpleValue::Long(number) => ("long", number.to_string()),
            SimpleValue::Double(number) => ("double", number.into_inner().to_string()),
            SimpleValue::Bool(flag) => ("boolean", flag.to_string()),
            SimpleValue::String(text) => ("string", text.clone()),
            other => ("string", format!("{other:?}")),
        };
        let value = Element::of("Value", text)
            .with_attribute("xmlns:d6p1", SCHEMA)
            .with_attribute("i:type", format!("d6p1:{kind}"));
        Element::new(PROPERTY).with(Element::of("Key", name.clone())).with(value)
    };
    Some(Element::new("Properties").with_all(filter.properties.iter().map(property)))
}
