//! What a deployment says: addresses by environment or file, which go before those of the builder.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::handler_options::HandlerOptions;
use super::provisioning::StorageProvisioning;
use super::queue_options::QueueOptions;
use super::value::{self, UnreadableValue};
use super::variables::{self, Variables};
use crate::transport::BrokerAddress;

/// The names of environment variables begin so.
const PREFIX: &str = "JASPER_";
const BROKER_PREFIX: &str = "JASPER_BROKER_";

/// What a deployment decides without a build: the name of the service, where it listens, where its
/// endpoints lead, where brokers are, how its queues and handlers work, how much memory it takes,
/// whether it only sends, and whether a start makes the tables of the store. What is not said stays
/// as the builder and the attributes of the handlers say.
///
/// In a file, read by [`from_toml`](Self::from_toml):
///
/// ```toml
/// service = "shop"
/// listen = ["durable://0.0.0.0:5580"]
/// memory_budget = 134217728
/// send_only = false
/// storage_provisioning = "migrate" # or "check"
///
/// [endpoints]
/// shipping = "durable://shipping.internal:5580?order=strict"
///
/// [brokers]
/// rabbitmq = "amqps://shop:secret@rabbit.internal/shop"
///
/// [queues.emails] # the queue that the handlers name, or a handler's own name
/// concurrency = 8
/// capacity = 500
/// mode = "durable" # or "buffered"
/// send_only = false
/// timeout = "2m" # as below, for all handlers of the queue
///
/// [handlers.place_order] # or [handlers."orders::place_order"], with its module
/// attempts = 10
/// delays = ["1s", "30s", "5m"]
/// timeout = "30s"
/// share = 50
/// ```
///
/// In the environment, read by [`from_env`](Self::from_env): `JASPER_SERVICE`, `JASPER_LISTEN`
/// (several are separated by commas), `JASPER_MEMORY_BUDGET` in bytes, `JASPER_SEND_ONLY` as
/// `true` or `false`, `JASPER_STORAGE_PROVISIONING` as `migrate` or `check`; for the endpoint
/// `eu.shipping`, `JASPER_ENDPOINT_EU_SHIPPING`; for the brokers `rabbitmq` and
/// `rabbitmq-billing`, `JASPER_BROKER_RABBITMQ` and `JASPER_BROKER_RABBITMQ_BILLING`; and for each
/// option of a queue or a handler a variable such as `JASPER_QUEUE_EMAILS_CONCURRENCY` and
/// `JASPER_HANDLER_PLACE_ORDER_DELAYS` (`1s, 30s, 5m`).
///
/// What is said of a handler goes before what is said of its queue, and each before what the
/// builder says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The name of the service.
    pub service: Option<String>,
    /// The addresses to listen at, instead of those of the builder.
    pub listen: Option<Vec<String>>,
    /// How many bytes of messages the process may hold in memory; see
    /// [`Builder::memory_budget`](crate::runtime::Builder::memory_budget).
    pub memory_budget: Option<usize>,
    /// Whether no handler runs here; see
    /// [`Builder::send_only`](crate::runtime::Builder::send_only).
    pub send_only: Option<bool>,
    /// What a start does with the schema of the store, `migrate` or `check`; see
    /// [`Builder::storage_provisioning`](crate::runtime::Builder::storage_provisioning).
    pub storage_provisioning: Option<StorageProvisioning>,
    /// Where endpoints lead, by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, String>,
    /// Where brokers are, by the name of their transport; a second one of a transport has a name
    /// behind it, as in `rabbitmq-billing`.
    #[serde(default)]
    pub brokers: BTreeMap<String, BrokerAddress>,
    /// How queues work, by name.
    #[serde(default)]
    pub queues: BTreeMap<String, QueueOptions>,
    /// How handlers run, by the name of the function, with or without its module.
    #[serde(default)]
    pub handlers: BTreeMap<String, HandlerOptions>,
    /// The same by the names of variables, which are matched once the names are known.
    #[serde(skip)]
    pub(crate) variables: Variables,
}

/// A configuration that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration{place} cannot be read: {why}")]
pub struct ConfigError {
    place: String,
    why: String,
}

impl Config {
    /// What the environment of this process says.
    pub fn from_env() -> Self {
        let text = |name: std::ffi::OsString| name.into_string().ok();
        Self::from_vars(
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))),
        )
    }

    /// What these environment variables say; those that are not jasper's are left out.
    pub fn from_vars(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut config = Self::default();
        for (name, value) in variables {
            match name.strip_prefix(PREFIX) {
                Some("SERVICE") => config.service = Some(value),
                Some("LISTEN") => {
                    let addresses = value.split(',').map(|address| address.trim().to_owned());
                    config.listen = Some(addresses.filter(|a| !a.is_empty()).collect());
                }
                Some("MEMORY_BUDGET") => {
                    config.memory_budget = config.read(&name, &value, value::number);
                }
                Some("SEND_ONLY") => {
                    config.send_only = config.read(&name, &value, value::choice);
                }
                Some("STORAGE_PROVISIONING") => {
                    let read = StorageProvisioning::of_deployment;
                    config.storage_provisioning = config.read(&name, &value, read);
                }
                Some(_) if name.starts_with(BROKER_PREFIX) => {
                    let broker = &name[BROKER_PREFIX.len()..];
                    let broker = broker.to_ascii_lowercase().replace('_', "-");
                    config.brokers.insert(broker, value.into());
                }
                Some(_) => config.variables.take(name, value),
                None => {}
            }
        }
        config
    }

    fn read<T>(
        &mut self,
        name: &str,
        text: &str,
        read: impl Fn(&str) -> Result<T, UnreadableValue>,
    ) -> Option<T> {
        let text = text.trim();
        let mistake = |it: UnreadableValue| variables::unreadable(name, text, it.wanted);
        read(text).map_err(|it| self.variables.mistakes.push(mistake(it))).ok()
    }

    /// What this text says.
    ///
    /// # Errors
    /// It is not TOML, or has something in it that a configuration does not.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let failed = |error: toml::de::Error| ConfigError {
            place: String::new(),
            why: error.to_string().trim_end().to_owned(),
        };
        toml::from_str(text).map_err(failed)
    }

    /// What the file at this path says.
    ///
    /// # Errors
    /// It cannot be read, or as [`from_toml`](Self::from_toml).
    #[cfg(feature = "toml")]
    pub fn from_file(path: impl AsRef<std::path::Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let place = format!(" `{}`", path.display());
        let text = std::fs::read_to_string(path);
        let text =
            text.map_err(|error| ConfigError { place: place.clone(), why: error.to_string() })?;
        Self::from_toml(&text).map_err(|error| ConfigError { place, ..error })
    }

    /// What this says, and where it says nothing, what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut earlier = other.variables;
        self.endpoints.keys().for_each(|name| earlier.forget_endpoint(name));
        self.queues.iter().for_each(|(name, options)| earlier.forget_queue(name, options));
        self.handlers.iter().for_each(|(name, options)| earlier.forget_handler(name, options));
        let mut endpoints = other.endpoints;
        let mut brokers = other.brokers;
        brokers.extend(self.brokers);
        endpoints.extend(self.endpoints);
        Self {
            service: self.service.or(other.service),
            listen: self.listen.or(other.listen),
            memory_budget: self.memory_budget.or(other.memory_budget),
            send_only: self.send_only.or(other.send_only),
            storage_provisioning: self.storage_provisioning.or(other.storage_provisioning),
            endpoints,
            brokers,
            queues: merged(self.queues, other.queues, QueueOptions::or),
            handlers: merged(self.handlers, other.handlers, HandlerOptions::or),
            variables: self.variables.or(earlier),
        }
    }
}

/// What both say of each name; `first` goes before.
pub(crate) fn merged<T: Default>(
    first: BTreeMap<String, T>,
    second: BTreeMap<String, T>,
    or: impl Fn(T, T) -> T,
) -> BTreeMap<String, T> {
    first.into_iter().fold(second, |mut all, (name, options)| {
        let entry = all.entry(name).or_default();
        *entry = or(options, std::mem::take(entry));
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Config {
        Config::from_vars(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_says_where_to_listen() {
        let config = vars(&[
            ("JASPER_SERVICE", "shop"),
            ("JASPER_LISTEN", "tcp://[::1]:1, durable://127.0.0.1:2"),
            ("JASPER_SEED", "7"),
            ("HOME", "/"),
        ]);
        assert_eq!(config.service.as_deref(), Some("shop"));
        let listen = config.listen.as_deref().unwrap();
        assert_eq!(listen, ["tcp://[::1]:1", "durable://127.0.0.1:2"]);
    }

    #[test]
    fn a_variable_that_is_no_number_or_no_choice_is_a_mistake() {
        let config = vars(&[("JASPER_MEMORY_BUDGET", "65536"), ("JASPER_SEND_ONLY", "true")]);
        assert_eq!((config.memory_budget, config.send_only), (Some(65_536), Some(true)));
        let config = vars(&[("JASPER_MEMORY_BUDGET", "64MB"), ("JASPER_SEND_ONLY", "yes")]);
        let mistakes = config.or(Config::default()).variables.mistakes;
        assert!(mistakes[0].contains("`64MB`, not a whole number"), "{mistakes:?}");
        assert!(mistakes[1].contains("`yes`, not `true` or `false`"), "{mistakes:?}");
    }

    #[test]
    fn what_is_said_last_goes_first_also_over_the_environment() {
        let table = [("b".to_owned(), "tcp://h:1".to_owned())].into();
        let file = Config { endpoints: table, ..Config::default() };
        let environment = vars(&[("JASPER_ENDPOINT_B", "tcp://h:2")]);
        let by_variable = |config: Config| config.variables.endpoints(&["b"]).0;
        assert!(by_variable(file.clone().or(environment.clone())).is_empty());
        assert_eq!(by_variable(environment.or(file))["b"], "tcp://h:2");
    }

    #[cfg(feature = "toml")]
    #[test]
    fn options_of_a_later_file_go_before_those_of_the_environment_and_leave_the_others() {
        let environment = vars(&[
            ("JASPER_QUEUE_EMAILS_CONCURRENCY", "4"),
            ("JASPER_QUEUE_EMAILS_CAPACITY", "50"),
            ("JASPER_HANDLER_PLACE_ATTEMPTS", "3"),
        ]);
        let text = "[queues.emails]\nconcurrency = 8\n[handlers.place]\ndelays = ['1s']";
        let both = Config::from_toml(text).unwrap().or(environment);
        let queues = both.variables.queues(&["emails"]).0;
        assert_eq!(queues["emails"], QueueOptions::new().capacity(50));
        assert_eq!(both.queues["emails"], QueueOptions::new().concurrency(8));
        let handlers = both.variables.handlers(&["place"]).0;
        assert_eq!(handlers["place"], HandlerOptions::new().attempts(3));
    }

    #[cfg(feature = "toml")]
    #[test]
    fn a_mistake_in_an_option_is_shown_with_its_line() {
        for (text, wanted) in [
            ("[queues.emails]\nparallel = 4", "unknown field `parallel`"),
            ("[queues.emails]\nmode = 'fast'", "expected `durable` or `buffered`"),
            ("[handlers.place]\ntimeout = '5'", "`5`: write a whole number and a unit"),
            ("[handlers.place]\ndelays = '5s'", "expected a sequence"),
            ("[handlers.place]\nconcurrency = 4", "unknown field `concurrency`"),
        ] {
            let error = Config::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains("line 2"), "{error}");
        }
    }

    #[test]
    fn a_deployment_says_whether_a_start_makes_the_tables_and_never_that_it_drops_them() {
        let config = vars(&[("JASPER_STORAGE_PROVISIONING", "check")]);
        assert_eq!(config.storage_provisioning, Some(StorageProvisioning::Check));
        let config = vars(&[("JASPER_STORAGE_PROVISIONING", "rebuild")]);
        assert_eq!(config.storage_provisioning, None);
        let mistakes = config.variables.mistakes;
        assert!(mistakes[0].contains("`rebuild`, not `migrate` or `check`"), "{mistakes:?}");
    }

    #[cfg(feature = "toml")]
    #[test]
    fn a_file_says_whether_a_start_makes_the_tables_and_never_that_it_drops_them() {
        let config = Config::from_toml("storage_provisioning = 'check'").unwrap();
        assert_eq!(config.storage_provisioning, Some(StorageProvisioning::Check));
        let error = Config::from_toml("storage_provisioning = 'clear'").unwrap_err().to_string();
        assert!(error.contains("expected `migrate` or `check`"), "{error}");
    }

    #[cfg(feature = "toml")]
    #[test]
    fn a_file_is_read_and_its_mistakes_are_shown() {
        let text = "service = 'a'\nlisten = ['tcp://h:1']\n[endpoints]\nb = 'tcp://h:2'\n";
        let config = Config::from_toml(text).unwrap();
        assert_eq!(config.endpoints["b"], "tcp://h:2");
        let over = Config::from_toml("[endpoints]\nb = 'tcp://h:3'").unwrap().or(config);
        assert_eq!((over.service.as_deref(), &*over.endpoints["b"]), (Some("a"), "tcp://h:3"));
        let error = Config::from_toml("listens = []").unwrap_err().to_string();
        assert!(error.contains("unknown field `listens`"), "{error}");
        let error = Config::from_file("/nowhere/jasper.toml").unwrap_err().to_string();
        assert!(error.contains("`/nowhere/jasper.toml`"), "{error}");
    }
}
