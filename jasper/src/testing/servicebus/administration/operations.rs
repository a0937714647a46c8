//! What an administrator asks for.

use super::super::address::{self, EntityName};
use super::super::namespace::{Kind, Namespace};
use super::super::refusal::{ARGUMENT_ERROR, NOT_FOUND, Refusal};
use super::super::rules::Filter;
use super::target::{Page, Target};
use super::{description, entries, rule_description};
use crate::transport::xml::Element;

/// A namespace, and how the client calls it.
pub(super) struct Administration<'a> {
    pub(super) namespace: &'a mut Namespace,
    pub(super) host: String,
}

pub(super) enum Answer {
    Created(Element),
    Found(Element),
    Done,
}

impl Administration<'_> {
    pub(super) fn get(&mut self, target: &Target) -> Result<Answer, Refusal> {
        let found = match target {
            Target::Queues(page) => self.list(Kind::Queue, "$Resources/queues", *page),
            Target::Topics(page) => self.list(Kind::Topic, "$Resources/topics", *page),
            Target::Subscriptions { topic, page } => self.subscriptions(topic, *page)?,
            Target::Rules { topic, subscription, page } => {
                self.rules(topic, subscription, *page)?
            }
            // The service has an empty list where there is no queue and no topic.
            Target::Entity(name) => self.entity(name).unwrap_or_else(|| self.feed(name, vec![])),
            Target::Subscription { topic, name } => self.subscription(topic, name)?,
            Target::Rule { topic, subscription, name } => self.rule(topic, subscription, name)?,
        };
        Ok(Answer::Found(found))
    }

    pub(super) fn put(
        &mut self,
        target: &Target,
        entry: &Element,
        is_update: bool,
    ) -> Result<Answer, Refusal> {
        let described = |name: &str| entries::described(entry, name);
        let nothing = || Refusal::new(ARGUMENT_ERROR, "The entry describes nothing known.");
        match target {
            Target::Entity(name) => {
                let queue = described("QueueDescription");
                let description = queue.or_else(|| described("TopicDescription"));
                let settings = description::settings(description.ok_or_else(nothing)?)?;
                match (is_update, queue) {
                    (true, _) => self.namespace.update(name, settings)?,
                    (false, Some(_)) => self.namespace.create_queue(name, settings)?,
                    (false, None) => self.namespace.create_topic(name, settings)?,
                }
            }
            Target::Subscription { topic, name } => {
                let description = described("SubscriptionDescription").ok_or_else(nothing)?;
                let settings = description::settings(description)?;
                let path = address::subscription(topic, name);
                if is_update {
                    self.namespace.update(&path, settings)?;
                } else {
                    let rule = description.child("DefaultRuleDescription");
                    let rule = rule.map(rule_description::read).transpose()?;
                    self.namespace.create_subscription(topic, name, settings)?;
                    self.replace_default_rule(&path, rule)?;
                }
            }
            Target::Rule { topic, subscription, name } => {
                let description = described("RuleDescription").ok_or_else(nothing)?;
                let (_, filter) = rule_description::read(description)?;
                let entity = EntityName::parse(&address::subscription(topic, subscription));
                if is_update {
                    self.namespace.remove_rule(&entity, name)?;
                }
                self.namespace.add_rule(&entity, name, filter)?;
            }
            _ => return Err(Refusal::new(ARGUMENT_ERROR, "A list cannot be written.")),
        }
        match self.get(target)? {
            Answer::Found(entry) if !is_update => Ok(Answer::Created(entry)),
            answer => Ok(answer),
        }
    }

    pub(super) fn delete(&mut self, target: &Target) -> Result<Answer, Refusal> {
        match target {
            Target::Entity(name) => self.namespace.remove(name)?,
            Target::Subscription { topic, name } => {
                self.namespace.remove(&address::subscription(topic, name))?;
            }
            Target::Rule { topic, subscription, name } => {
                let entity = EntityName::parse(&address::subscription(topic, subscription));
                self.namespace.remove_rule(&entity, name)?;
            }
            _ => return Err(Refusal::new(ARGUMENT_ERROR, "A list cannot be deleted.")),
        }
        Ok(Answer::Done)
    }

    fn replace_default_rule(
        &mut self,
        path: &str,
        rule: Option<(Option<String>, Filter)>,
    ) -> Result<(), Refusal> {
        let Some((name, filter)) = rule else {
            return Ok(());
        };
        let entity = EntityName::parse(path);
        self.namespace.remove_rule(&entity, Namespace::DEFAULT_RULE)?;
        let name = name.unwrap_or_else(|| Namespace::DEFAULT_RULE.to_owned());
        self.namespace.add_rule(&entity, &name, filter)
    }

    fn entity(&self, name: &str) -> Option<Element> {
        let path = address::path_of(name);
        let kind = self.namespace.kind(&path)?;
        self.described(&path, &path, name, kind)
    }

    fn described(&self, path: &str, shown: &str, name: &str, kind: Kind) -> Option<Element> {
        let settings = self.namespace.settings(path)?;
        let counts = self.namespace.counts(&EntityName::parse(path)).unwrap_or_default();
        let description = description::describe(kind, settings, counts);
        Some(entries::entry(&self.host, shown, name, description))
    }

    fn subscription(&self, topic: &str, name: &str) -> Result<Element, Refusal> {
        let path = address::subscription(topic, name);
        let shown = format!("{topic}/Subscriptions/{name}");
        let found = self.described(&path, &shown, name, Kind::Subscription);
        found.ok_or_else(|| missing(&shown))
    }

    fn rule(&mut self, topic: &str, subscription: &str, name: &str) -> Result<Element, Refusal> {
        let entity = EntityName::parse(&address::subscription(topic, subscription));
        let filter = self.namespace.rules_mut(&entity)?.get(name).cloned();
        let filter = filter.ok_or_else(|| missing(name))?;
        let shown = format!("{topic}/Subscriptions/{subscription}/Rules/{name}");
        let description = rule_description::describe(name, &filter);
        Ok(entries::entry(&self.host, &shown, name, description))
    }

    fn list(&self, kind: Kind, path: &str, page: Page) -> Element {
        let names = self.namespace.names(kind);
        self.page(path, page, names, |name| self.described(name, name, name, kind))
    }

    fn subscriptions(&self, topic: &str, page: Page) -> Result<Element, Refusal> {
        let names = self.namespace.subscriptions(&address::path_of(topic))?;
        let one = |name: &str| self.subscription(topic, name).ok();
        Ok(self.page(&format!("{topic}/Subscriptions"), page, names, one))
    }

    fn rules(&mut self, topic: &str, subscription: &str, page: Page) -> Result<Element, Refusal> {
        let entity = EntityName::parse(&address::subscription(topic, subscription));
        let rules = self.namespace.rules_mut(&entity)?.clone();
        let path = format!("{topic}/Subscriptions/{subscription}/Rules");
        let one = |name: &str| {
            let description = rule_description::describe(name, rules.get(name)?);
            Some(entries::entry(&self.host, &format!("{path}/{name}"), name, description))
        };
        Ok(self.page(&path, page, rules.keys().cloned().collect(), one))
    }

    fn page(
        &self,
        path: &str,
        page: Page,
        names: Vec<String>,
        one: impl Fn(&str) -> Option<Element>,
    ) -> Element {
        let end = page.skip.saturating_add(page.top);
        let next = (names.len() > end).then(|| format!("{path}?$skip={end}&$top={}", page.top));
        let entries = names.iter().skip(page.skip).take(page.top).filter_map(|name| one(name));
        entries::feed(&self.host, path, next, entries.collect())
    }

    fn feed(&self, path: &str, entries: Vec<Element>) -> Element {
        entries::feed(&self.host, path, None, entries)
    }
}

fn missing(path: &str) -> Refusal {
    Refusal::new(NOT_FOUND, format!("The messaging entity '{path}' could not be found."))
}
