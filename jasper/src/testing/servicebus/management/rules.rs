//! Operations on the rules of a subscription.

use fe2o3_amqp_types::primitives::{OrderedMap, Value};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;

use super::super::refusal::{NOT_IMPLEMENTED, Refusal};
use super::super::reply;
use super::super::rules::{CorrelationFilter, FIELDS, Filter, simple};
use super::request::{Answer, Request, missing};

const RULE: u64 = 0x0000_0137_0000_0004;
const NO_ACTION: u64 = 0x0000_0137_0000_0005;
const SQL: u64 = 0x0000_0013_7000_0006;
const TRUE: u64 = 0x0000_0013_7000_0007;
const FALSE: u64 = 0x0000_0013_7000_0008;
const CORRELATION: u64 = 0x0000_0013_7000_0009;

pub(super) fn add(request: Request<'_>) -> Answer {
    let name = request.text("rule-name")?;
    let filter = filter(request.entry("rule-description")?)?;
    request.namespace.add_rule(request.entity, name, filter)?;
    Ok(Some(reply::map([])))
}

pub(super) fn remove(request: Request<'_>) -> Answer {
    let name = request.text("rule-name")?;
    request.namespace.remove_rule(request.entity, name)?;
    Ok(Some(reply::map([])))
}

pub(super) fn list(request: Request<'_>) -> Answer {
    let (skip, top) = (request.number("skip")?, request.number("top")?);
    let (skip, top) = (usize::try_from(skip).unwrap_or(0), usize::try_from(top).unwrap_or(0));
    let rules = request.namespace.rules_mut(request.entity)?.iter().skip(skip).take(top);
    let rules: Vec<Value> = rules
        .map(|(name, filter)| reply::map([("rule-description", describe(name, filter))]))
        .collect();
    Ok((!rules.is_empty()).then(|| reply::map([("rules", Value::List(rules))])))
}

fn filter(description: &Value) -> Result<Filter, Refusal> {
    let action = reply::entry(description, "sql-rule-action");
    if action.is_some_and(|action| reply::entry(action, "expression").is_some()) {
        return Err(unsupported("actions of rules"));
    }
    if let Some(sql) = reply::entry(description, "sql-filter") {
        let expression = reply::entry(sql, "expression").and_then(reply::text);
        return Filter::from_sql(expression.unwrap_or_default());
    }
    let wanted = reply::entry(description, "correlation-filter");
    correlation(wanted.ok_or_else(|| missing("correlation-filter"))?)
}

fn correlation(wanted: &Value) -> Result<Filter, Refusal> {
    let mut filter = CorrelationFilter::new();
    for field in FIELDS {
        if let Some(text) = reply::entry(wanted, field).and_then(reply::text) {
            filter = filter.field(field, text);
        }
    }
    if let Some(Value::Map(properties)) = reply::entry(wanted, "properties") {
        for (name, value) in properties.iter() {
            let pair = reply::text(name).zip(simple(value));
            let (name, value) = pair.ok_or_else(|| missing("properties"))?;
            filter.properties.insert(name.to_owned(), value);
        }
    }
    Ok(Filter::Correlation(filter))
}

fn unsupported(what: &str) -> Refusal {
    Refusal::new(NOT_IMPLEMENTED, format!("The test broker does not support {what}."))
}

/// The rule in the form of the protocol, a list in lists.
fn describe(name: &str, filter: &Filter) -> Value {
    let filter = match filter {
        Filter::True => described(TRUE, Vec::new()),
        Filter::False => described(FALSE, Vec::new()),
        Filter::Sql(filter) => {
            let text = Value::String(filter.0.text().to_owned());
            described(SQL, vec![text, Value::Int(20)])
        }
        Filter::Correlation(filter) => described(CORRELATION, correlation_fields(filter)),
    };
    let action = described(NO_ACTION, Vec::new());
    described(RULE, vec![filter, action, Value::String(name.to_owned())])
}

fn correlation_fields(filter: &CorrelationFilter) -> Vec<Value> {
    let field = |name: &&str| {
        filter.fields.get(*name).map_or(Value::Null, |text| Value::String(text.clone()))
    };
    let mut fields: Vec<Value> = FIELDS.iter().map(field).collect();
    let mut properties = OrderedMap::new();
    for (name, value) in &filter.properties {
        properties.insert(Value::String(name.clone()), Value::from(value.clone()));
    }
    fields.push(Value::Map(properties));
    fields
}

fn described(code: u64, fields: Vec<Value>) -> Value {
    let described = Described { descriptor: Descriptor::Code(code), value: Value::List(fields) };
    Value::Described(Box::new(described))
}
