//! The queues, topics and subscriptions of a broker.

use std::collections::BTreeMap;

use fe2o3_amqp_types::primitives::Value;

use super::address::{self, EntityName};
use super::counts::Counts;
use super::entity::Entity;
use super::letter::{self, Letter};
use super::refusal::{ALREADY_EXISTS, ARGUMENT_ERROR, NOT_ALLOWED, NOT_FOUND, Refusal};
use super::rules::Filter;
use super::settings::EntitySettings;

const ENQUEUED_SEQUENCE: &str = "x-opt-enqueue-sequence-number";

#[derive(Debug, Default)]
pub(super) struct Namespace {
    /// Queues and subscriptions by their paths, and topics as what their messages go through.
    entities: BTreeMap<String, Entity>,
    topics: BTreeMap<String, Vec<Subscription>>,
    /// What each entity was created with, for a restart without its messages.
    settings: BTreeMap<String, EntitySettings>,
}

/// What an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Queue,
    Topic,
    Subscription,
}

#[derive(Debug)]
struct Subscription {
    path: String,
    rules: BTreeMap<String, Filter>,
}

impl Namespace {
    /// The rule that a subscription has which is created without one.
    pub(super) const DEFAULT_RULE: &str = "$Default";

    pub(super) fn create_queue(
        &mut self,
        name: &str,
        settings: EntitySettings,
    ) -> Result<(), Refusal> {
        self.create(address::path_of(name), settings)
    }

    pub(super) fn create_topic(
        &mut self,
        name: &str,
        settings: EntitySettings,
    ) -> Result<(), Refusal> {
        let path = address::path_of(name);
        // Sessions are a matter of the subscriptions.
        let settings = EntitySettings { requires_session: false, ..settings };
        self.create(path.clone(), settings)?;
        self.topics.insert(path, Vec::new());
        Ok(())
    }

    pub(super) fn create_subscription(
        &mut self,
        topic: &str,
        name: &str,
        settings: EntitySettings,
    ) -> Result<(), Refusal> {
        let topic = address::path_of(topic);
        if !self.topics.contains_key(&topic) {
            return Err(not_found(&topic));
        }
        let path = address::subscription(&topic, name);
        let settings = EntitySettings { duplicate_window: None, ..settings };
        self.create(path.clone(), settings)?;
        let rules = BTreeMap::from([(Self::DEFAULT_RULE.to_owned(), Filter::True)]);
        self.topics.entry(topic).or_default().push(Subscription { path, rules });
        Ok(())
    }

    /// What is at this path.
    pub(super) fn kind(&self, path: &str) -> Option<Kind> {
        self.entities.get(path)?;
        Some(match path {
            path if self.topics.contains_key(path) => Kind::Topic,
            path if path.contains("/subscriptions/") => Kind::Subscription,
            _ => Kind::Queue,
        })
    }

    /// What an entity has been created with, and changed to.
    pub(super) fn settings(&self, path: &str) -> Option<&EntitySettings> {
        self.settings.get(path)
    }

    /// The paths of all queues, or of all topics.
    pub(super) fn names(&self, kind: Kind) -> Vec<String> {
        let paths = self.entities.keys().filter(|path| self.kind(path) == Some(kind));
        paths.cloned().collect()
    }

    /// The names of the subscriptions of a topic.
    pub(super) fn subscriptions(&self, topic: &str) -> Result<Vec<String>, Refusal> {
        let subscriptions = self.topics.get(topic).ok_or_else(|| not_found(topic))?;
        let name = |it: &Subscription| it.path.rsplit('/').next().map(str::to_owned);
        Ok(subscriptions.iter().filter_map(name).collect())
    }

    /// Changes the settings of an entity, as far as they can be changed.
    pub(super) fn update(&mut self, name: &str, settings: EntitySettings) -> Result<(), Refusal> {
        let path = address::path_of(name);
        let known = self.settings.get_mut(&path).ok_or_else(|| not_found(&path))?;
        let is_fixed = known.requires_session == settings.requires_session
            && known.duplicate_window.is_some() == settings.duplicate_window.is_some();
        if !is_fixed {
            let description = "Sessions and duplicate detection cannot be changed.";
            return Err(Refusal::new(ARGUMENT_ERROR, description));
        }
        known.clone_from(&settings);
        if let Some(entity) = self.entities.get_mut(&path) {
            entity.change(settings);
        }
        Ok(())
    }

    /// Removes a queue, a subscription, or a topic with its subscriptions.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), Refusal> {
        let path = address::path_of(name);
        if self.entities.remove(&path).is_none() {
            return Err(not_found(&path));
        }
        self.settings.remove(&path);
        for subscription in self.topics.remove(&path).into_iter().flatten() {
            self.entities.remove(&subscription.path);
            self.settings.remove(&subscription.path);
        }
        for subscriptions in self.topics.values_mut() {
            subscriptions.retain(|subscription| subscription.path != path);
        }
        Ok(())
    }

    pub(super) fn add_rule(
        &mut self,
        subscription: &EntityName,
        name: &str,
        filter: Filter,
    ) -> Result<(), Refusal> {
        let rules = self.rules_mut(subscription)?;
        if rules.contains_key(name) {
            return Err(Refusal::new(ALREADY_EXISTS, format!("The rule '{name}' exists already.")));
        }
        rules.insert(name.to_owned(), filter);
        Ok(())
    }

    pub(super) fn remove_rule(
        &mut self,
        subscription: &EntityName,
        name: &str,
    ) -> Result<(), Refusal> {
        let removed = self.rules_mut(subscription)?.remove(name);
        removed.map(drop).ok_or_else(|| not_found(name))
    }

    pub(super) fn rules_mut(
        &mut self,
        subscription: &EntityName,
    ) -> Result<&mut BTreeMap<String, Filter>, Refusal> {
        let mut all = self.topics.values_mut().flatten();
        let found = all.find(|it| it.path == subscription.path && !subscription.is_dead_letters);
        found.map(|it| &mut it.rules).ok_or_else(|| not_found(&subscription.path))
    }

    /// Where messages are received.
    pub(super) fn receiving(&mut self, name: &EntityName) -> Result<&mut Entity, Refusal> {
        if self.topics.contains_key(&name.path) {
            let description = format!("'{}' is a topic: receive from a subscription.", name.path);
            return Err(Refusal::new(NOT_ALLOWED, description));
        }
        self.any(name)
    }

    /// An entity of any kind, for what needs no receiver.
    pub(super) fn any(&mut self, name: &EntityName) -> Result<&mut Entity, Refusal> {
        let entity = self.entities.get_mut(&name.path);
        let found =
            if name.is_dead_letters { entity.and_then(Entity::dead_letters_mut) } else { entity };
        found.ok_or_else(|| not_found(&name.path))
    }

    /// Whether messages can be sent here.
    pub(super) fn check_sending(&self, name: &EntityName) -> Result<(), Refusal> {
        if !self.entities.contains_key(&name.path) {
            return Err(not_found(&name.path));
        }
        if name.is_dead_letters || name.path.contains("/subscriptions/") {
            let description = format!("Messages cannot be sent to '{}'.", name.path);
            return Err(Refusal::new(NOT_ALLOWED, description));
        }
        Ok(())
    }

    /// Takes all of these messages, or none. A duplicate has no sequence number.
    pub(super) fn send(
        &mut self,
        name: &EntityName,
        letters: Vec<Letter>,
        now: i64,
    ) -> Result<Vec<Option<i64>>, Refusal> {
        self.check_sending(name)?;
        let entity = self.any(name)?;
        letters.iter().try_for_each(|letter| entity.check(letter))?;
        let numbers = letters.into_iter().map(|letter| entity.enqueue(letter, now)).collect();
        self.fan_out(&name.path, now);
        Ok(numbers)
    }

    /// Brings every entity to this time. Says whether anything has changed.
    pub(super) fn advance(&mut self, now: i64) -> bool {
        let mut has_changed = false;
        for entity in self.entities.values_mut() {
            has_changed |= entity.advance(now);
        }
        let topics: Vec<String> = self.topics.keys().cloned().collect();
        for topic in topics.iter().filter(|_| has_changed) {
            self.fan_out(topic, now);
        }
        has_changed
    }

    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.entities.values().filter_map(Entity::next_deadline).min()
    }

    pub(super) fn counts(&self, name: &EntityName) -> Option<Counts> {
        let entity = self.entities.get(&name.path)?;
        let entity = if name.is_dead_letters { entity.dead_letters()? } else { entity };
        Some(entity.counts())
    }

    /// Every message is gone; entities and rules stay.
    pub(super) fn forget_messages(&mut self) {
        for (path, settings) in &self.settings {
            self.entities.insert(path.clone(), Entity::new(settings.clone()));
        }
    }

    fn create(&mut self, path: String, settings: EntitySettings) -> Result<(), Refusal> {
        if self.entities.contains_key(&path) {
            return Err(Refusal::new(ALREADY_EXISTS, format!("'{path}' exists already.")));
        }
        self.settings.insert(path.clone(), settings.clone());
        self.entities.insert(path, Entity::new(settings));
        Ok(())
    }

    /// Hands what a topic has taken on to its subscriptions.
    fn fan_out(&mut self, topic: &str, now: i64) {
        let Some(subscriptions) = self.topics.get(topic) else {
            return;
        };
        let intake = self.entities.get_mut(topic);
        let taken = std::iter::from_fn({
            let mut intake = intake;
            move || Some(intake.as_mut()?.take(None, false, now)?.message.into_owned())
        });
        for message in taken.collect::<Vec<_>>() {
            let mut letter = message.letter;
            let annotations = letter.message_annotations.get_or_insert_default();
            let sequence = Value::Long(message.sequence);
            letter::annotate(annotations, ENQUEUED_SEQUENCE, sequence);
            for subscription in subscriptions {
                let is_wanted = subscription.rules.values().any(|rule| rule.lets_through(&letter));
                let entity = self.entities.get_mut(&subscription.path).filter(|_| is_wanted);
                // A message without a session goes to no subscription that requires one.
                if let Some(entity) = entity.filter(|entity| entity.check(&letter).is_ok()) {
                    entity.enqueue(letter.clone(), now);
                }
            }
        }
    }
}

fn not_found(path: &str) -> Refusal {
    let description = format!("The messaging entity '{path}' could not be found.");
    Refusal::new(NOT_FOUND, description)
}
