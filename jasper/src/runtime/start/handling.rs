//! How queues work and handlers run, as the builder, the deployment and the attributes say it.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};

use super::config::{Config, merged};
use super::handler_options::HandlerOptions;
use super::queue_options::QueueOptions;
use super::variables::NamedOptions;
use crate::error::Problem;
use crate::handler::HandlerRegistration;

/// What the builder sets for queues and handlers.
#[derive(Debug, Default)]
pub(crate) struct HandlingConfig {
    pub(crate) queues: BTreeMap<String, QueueOptions>,
    /// By function.
    pub(crate) handlers: HashMap<TypeId, HandlerOptions>,
}

/// The same with what the deployment and the attributes say.
#[derive(Debug)]
pub(crate) struct ResolvedHandling {
    pub(crate) queues: BTreeMap<String, QueueOptions>,
    handlers: HashMap<HandlerKey, HandlerOptions>,
    pub(crate) problems: Vec<Problem>,
    /// Of a queue that nothing is said of.
    unsaid: QueueOptions,
}

/// What differs between handlers; one without a function has its name only.
pub(crate) type HandlerKey = (TypeId, &'static str);

/// What differs between this handler and others.
pub(crate) fn key_of(handler: &HandlerRegistration) -> HandlerKey {
    ((handler.function)(), handler.name)
}

impl HandlingConfig {
    /// What is said altogether, for these handlers of the application.
    pub(crate) fn resolve(
        &self,
        config: &Config,
        handlers: &[HandlerRegistration],
    ) -> ResolvedHandling {
        let mut problems = Vec::new();
        let deployed_queues = deployed_queues(config, handlers, &mut problems);
        let deployed = deployed_handlers(config, handlers, &mut problems);
        let by_handler = handlers.iter().map(|handler| {
            // From the most particular to the most general; the deployment before the program.
            let layers = [
                deployed.get(&key_of(handler)),
                deployed_queues.get(handler.queue).map(|queue| &queue.handlers),
                self.handlers.get(&(handler.function)()),
                self.queues.get(handler.queue).map(|queue| &queue.handlers),
            ];
            let mut of_handler = [layers[0], layers[2]].into_iter().flatten();
            let shares = of_handler.any(|options| options.share.is_some());
            if shares && !handler.takes_connection {
                problems.push(mistake(nothing_to_share(handler)));
            }
            let said = layers
                .into_iter()
                .flatten()
                .cloned()
                .fold(HandlerOptions::new(), HandlerOptions::or);
            problems.extend(said.zeros().map(|what| zero("handler", handler.name, what)));
            (key_of(handler), said.or(HandlerOptions::of(handler)))
        });
        let handlers = by_handler.collect();
        let queues = merged(deployed_queues, self.queues.clone(), QueueOptions::or);
        for (name, options) in &queues {
            problems.extend(options.own_zeros().map(|what| zero("queue", name, what)));
        }
        ResolvedHandling { queues, handlers, problems, unsaid: QueueOptions::new() }
    }
}

impl ResolvedHandling {
    /// The options of a queue.
    pub(crate) fn queue(&self, name: &str) -> &QueueOptions {
        self.queues.get(name).unwrap_or(&self.unsaid)
    }

    /// The options of a handler, its attributes included.
    pub(crate) fn handler(&self, handler: &HandlerRegistration) -> HandlerOptions {
        let said = self.handlers.get(&key_of(handler)).cloned();
        said.unwrap_or_else(|| HandlerOptions::of(handler))
    }
}

fn zero(what: &str, name: &str, number: &'static str) -> Problem {
    Problem::Zero { of: format!("the {what} `{name}`"), what: number }
}

fn nothing_to_share(handler: &HandlerRegistration) -> String {
    format!(
        "`share` is configured for the handler `{}` ({}), which has no transaction: take the \
         store's connection as `&mut` under `#[durable]`, or remove `share`",
        handler.name, handler.location
    )
}

fn mistake(why: String) -> Problem {
    Problem::Config { why }
}

/// What the deployment says of queues.
fn deployed_queues(
    config: &Config,
    handlers: &[HandlerRegistration],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, QueueOptions> {
    let known = handlers.iter().map(|handler| handler.queue);
    let by_variable = |names: &[&str]| config.variables.queues(names);
    deployed(&config.queues, known, by_variable, QueueOptions::or, problems)
}

/// What a table of the deployment and its variables say of these names and of those in the table.
fn deployed<'a, T: Clone + Default>(
    table: &'a BTreeMap<String, T>,
    known: impl Iterator<Item = &'a str>,
    by_variable: impl Fn(&[&str]) -> NamedOptions<T>,
    or: impl Fn(T, T) -> T,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, T> {
    let names = sorted(known.chain(table.keys().map(String::as_str)));
    let (by_variable, mistakes) = by_variable(&names);
    problems.extend(mistakes.into_iter().map(mistake));
    merged(by_variable, table.clone(), or)
}

/// What the deployment says of handlers.
fn deployed_handlers(
    config: &Config,
    handlers: &[HandlerRegistration],
    problems: &mut Vec<Problem>,
) -> HashMap<HandlerKey, HandlerOptions> {
    let known = handlers.iter().map(|handler| handler.name);
    let by_variable = |names: &[&str]| config.variables.handlers(names);
    let all = deployed(&config.handlers, known, by_variable, HandlerOptions::or, problems);
    let mut found = HashMap::<_, HandlerOptions>::new();
    // Names with a module come first: they say more.
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(name, _)| !name.contains("::"));
    for (name, options) in all {
        match named(&name, handlers) {
            Ok(handler) => {
                let entry = found.entry(key_of(handler)).or_default();
                *entry = std::mem::take(entry).or(options);
            }
            Err(why) => problems.push(mistake(why)),
        }
    }
    found
}

/// The one handler that a name of the deployment means; or what is wrong with it.
fn named<'h>(
    name: &str,
    handlers: &'h [HandlerRegistration],
) -> Result<&'h HandlerRegistration, String> {
    let mut meant = handlers.iter().filter(|handler| is_named(handler, name));
    match (meant.next(), meant.next()) {
        (Some(handler), None) => Ok(handler),
        (Some(first), Some(second)) => Err(format!(
            "the configuration of the handler `{name}` may mean `{}` or `{}`; write the module too",
            path(first),
            path(second)
        )),
        (None, _) => Err(format!(
            "the handler `{name}` is configured, and this application has none of that name; it \
             has: {}",
            sorted(handlers.iter().map(|handler| handler.name)).join(", ")
        )),
    }
}

fn path(handler: &HandlerRegistration) -> String {
    format!("{}::{}", handler.module, handler.name)
}

/// By the function's name, with some or all of its modules before it.
fn is_named(handler: &HandlerRegistration, name: &str) -> bool {
    let path = path(handler);
    let before = path.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}
