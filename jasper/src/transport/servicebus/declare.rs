//! Declaring what an endpoint needs, and comparing it with what the namespace has.

use std::time::Duration;

use super::administration::{
    Administrator, Failed, Put, described, entity_entry, filter_of, names_of_rules, rule_entry,
    subscription_entry,
};
use super::endpoint::ServiceBusEndpoint;
use super::settings::Reached;
use super::topology::{Filter, Properties, Subscription};
use crate::transport::TransportError;
use crate::transport::declare::Declare;
use crate::transport::xml::Element;

/// Declares what this endpoint needs, as far as it may.
///
/// # Errors
/// The namespace has it otherwise, or does not have it, or cannot be reached.
pub(super) async fn declare(
    reached: Reached,
    address: &str,
    endpoint: &ServiceBusEndpoint,
    patience: Duration,
) -> Result<(), TransportError> {
    if endpoint.declare == Declare::Never {
        return Ok(());
    }
    let administrator = Administrator::new(reached, patience);
    let mut declaring = Declaring { administrator, address, mode: endpoint.declare };
    for queue in &endpoint.topology.queues {
        let what = format!("the queue `{}`", queue.name);
        let kind = "QueueDescription";
        declaring.entity(&what, &queue.name, kind, &queue.properties).await?;
    }
    for topic in &endpoint.topology.topics {
        let what = format!("the topic `{}`", topic.name);
        let kind = "TopicDescription";
        declaring.entity(&what, &topic.name, kind, &topic.properties).await?;
    }
    for subscription in &endpoint.topology.subscriptions {
        declaring.subscription(subscription).await?;
    }
    Ok(())
}

struct Declaring<'a> {
    administrator: Administrator,
    address: &'a str,
    mode: Declare,
}

impl Declaring<'_> {
    /// A queue or a topic.
    async fn entity(
        &mut self,
        what: &str,
        path: &str,
        kind: &str,
        properties: &Properties,
    ) -> Result<(), TransportError> {
        let found = self.found(what, path, &entity_entry(kind, properties)).await?;
        self.compare(what, kind, properties, &found)
    }

    async fn subscription(&mut self, wanted: &Subscription) -> Result<(), TransportError> {
        let Subscription { topic, name, properties, rules } = wanted;
        let what = format!("the subscription `{name}` of the topic `{topic}`");
        let path = format!("{topic}/Subscriptions/{name}");
        let found = self.found(&what, &path, &subscription_entry(wanted)).await?;
        self.compare(&what, "SubscriptionDescription", properties, &found)?;
        if rules.is_empty() {
            return Ok(());
        }
        let list = format!("{path}/Rules");
        let feed = self.administrator.get(&list).await.map_err(|failed| self.failed(failed))?;
        let feed = feed.unwrap_or_default();
        let there = names_of_rules(&feed);
        if let Some(other) = there.keys().find(|name| !rules.contains_key(*name)) {
            let why = format!(
                "{what} has a rule `{other}` at the broker and not here; have it removed there, \
                 or declare it here"
            );
            return Err(self.mismatch(why));
        }
        for (rule, filter) in rules {
            let what = format!("the rule `{rule}` of {what}");
            let path = format!("{list}/{rule}");
            match there.get(rule) {
                Some(found) => self.compare_filter(&what, filter, found)?,
                None => {
                    let found = self.found(&what, &path, &rule_entry(rule, filter)).await?;
                    let found = described(&found).and_then(|rule| rule.child("Filter").cloned());
                    self.compare_filter(&what, filter, &found.unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    /// What is there, after it was made where it was missing and may be made.
    async fn found(
        &mut self,
        what: &str,
        path: &str,
        entry: &Element,
    ) -> Result<Element, TransportError> {
        if let Some(found) = self.look(path).await? {
            return Ok(found);
        }
        if self.mode == Declare::Check {
            let why = format!("{what} is not there; make it, or write `declare=provision`");
            return Err(self.mismatch(why));
        }
        loop {
            let put = self.administrator.put(path, entry).await;
            if put.map_err(|failed| self.failed(failed))? == Put::Made {
                tracing::info!(what, "made");
            }
            if let Some(found) = self.look(path).await? {
                return Ok(found);
            }
            // Another process is making it at present, or has removed it.
            if !self.administrator.wait().await {
                return Err(self.mismatch(format!("{what} was removed as it was made")));
            }
        }
    }

    /// The service answers with an empty list where there is no queue and no topic.
    async fn look(&mut self, path: &str) -> Result<Option<Element>, TransportError> {
        let found = self.administrator.get(path).await.map_err(|failed| self.failed(failed))?;
        Ok(found.filter(|found| found.name == "entry"))
    }

    fn compare(
        &self,
        what: &str,
        kind: &str,
        wanted: &Properties,
        found: &Element,
    ) -> Result<(), TransportError> {
        let description = described(found).filter(|found| found.name == kind);
        let Some(description) = description else {
            let other = described(found).map_or("nothing", |found| found.name.as_str());
            let other = other.trim_end_matches("Description").to_lowercase();
            return Err(self.mismatch(format!("{what} is a {other} at the broker")));
        };
        for (name, property) in wanted {
            let there = description.child_text(name);
            if there.is_none_or(|there| !property.is(there)) {
                let here = property.text();
                return Err(self.differs(what, name, &here, there));
            }
        }
        Ok(())
    }

    fn compare_filter(
        &self,
        what: &str,
        wanted: &Filter,
        found: &Element,
    ) -> Result<(), TransportError> {
        if filter_of(found).as_ref() == Some(wanted) {
            return Ok(());
        }
        let words = |filter: &Filter| match filter {
            Filter::Sql(expression) => expression.clone(),
            Filter::Correlation(filter) => {
                let fields = filter.fields.iter().map(|(name, value)| format!("{name}={value}"));
                let more = filter.properties.iter().map(|(name, value)| format!("{name}={value}"));
                fields.chain(more).collect::<Vec<_>>().join(", ")
            }
        };
        let there = filter_of(found).as_ref().map(words);
        let there = there.as_deref().or(Some("a filter of another kind"));
        Err(self.differs(what, "Filter", &words(wanted), there))
    }

    fn differs(&self, what: &str, name: &str, here: &str, there: Option<&str>) -> TransportError {
        let there = there.map_or("not set".to_owned(), |there| format!("`{there}`"));
        self.mismatch(format!(
            "{what} differs in `{name}`: `{here}` here, {there} at the broker; change one of the \
             two, or have the broker delete it first"
        ))
    }

    fn failed(&self, failed: Failed) -> TransportError {
        failed.not_sent(self.address)
    }

    fn mismatch(&self, why: String) -> TransportError {
        TransportError::Mismatch { address: self.address.to_owned(), why }
    }
}
