//! What a deployment says: addresses by environment or file, which go before those of the builder.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;

use crate::transport::BrokerAddress;

/// The names of environment variables begin so.
const PREFIX: &str = "JASPER_";
const ENDPOINT_PREFIX: &str = "JASPER_ENDPOINT_";
const BROKER_PREFIX: &str = "JASPER_BROKER_";

/// What a deployment decides without a build: the name of the service, where it listens, where its
/// endpoints lead, where brokers are, how much memory it takes, and whether it only sends. What is
/// not said stays as the builder says.
///
/// In a file, read by [`from_toml`](Self::from_toml):
///
/// ```toml
/// service = "shop"
/// listen = ["durable://0.0.0.0:5580"]
/// memory_budget = 134217728
/// send_only = false
///
/// [endpoints]
/// shipping = "durable://shipping.internal:5580?order=strict"
///
/// [brokers]
/// rabbitmq = "amqps://shop:secret@rabbit.internal/shop"
/// ```
///
/// In the environment, read by [`from_env`](Self::from_env): `JASPER_SERVICE`, `JASPER_LISTEN`
/// (several are separated by commas), `JASPER_MEMORY_BUDGET` in bytes, `JASPER_SEND_ONLY` as
/// `true` or `false`, for the endpoint `eu.shipping`, `JASPER_ENDPOINT_EU_SHIPPING`, and for the
/// brokers `rabbitmq` and `rabbitmq-billing`, `JASPER_BROKER_RABBITMQ` and
/// `JASPER_BROKER_RABBITMQ_BILLING`.
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
    /// Where endpoints lead, by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, String>,
    /// Where brokers are, by the name of their transport; a second one of a transport has a name
    /// behind it, as in `rabbitmq-billing`.
    #[serde(default)]
    pub brokers: BTreeMap<String, BrokerAddress>,
    /// The same by the names of variables, which are told apart once the endpoints are known.
    #[serde(skip)]
    variables: BTreeMap<String, String>,
    /// What is wrong with the values of variables, in words.
    #[serde(skip)]
    mistakes: Vec<String>,
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
                    config.memory_budget = config.value(&name, &value, "a number of bytes");
                }
                Some("SEND_ONLY") => {
                    config.send_only = config.value(&name, &value, "`true` or `false`");
                }
                Some(_) if name.starts_with(BROKER_PREFIX) => {
                    let broker = &name[BROKER_PREFIX.len()..];
                    let broker = broker.to_ascii_lowercase().replace('_', "-");
                    config.brokers.insert(broker, value.into());
                }
                Some(_) if name.starts_with(ENDPOINT_PREFIX) => {
                    config.variables.insert(name, value);
                }
                _ => {}
            }
        }
        config
    }

    fn value<T: FromStr>(&mut self, name: &str, value: &str, wanted: &str) -> Option<T> {
        let read = value.trim().parse().ok();
        if read.is_none() {
            self.mistakes.push(format!("the variable `{name}` is `{value}`, not {wanted}"));
        }
        read
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
        let (mut endpoints, mut variables) = (other.endpoints, other.variables);
        let mut brokers = other.brokers;
        brokers.extend(self.brokers);
        for name in self.endpoints.keys() {
            variables.remove(&variable_of(name));
        }
        endpoints.extend(self.endpoints);
        variables.extend(self.variables);
        let mut mistakes = other.mistakes;
        mistakes.extend(self.mistakes);
        Self {
            service: self.service.or(other.service),
            listen: self.listen.or(other.listen),
            memory_budget: self.memory_budget.or(other.memory_budget),
            send_only: self.send_only.or(other.send_only),
            endpoints,
            brokers,
            variables,
            mistakes,
        }
    }

    /// Where the endpoints of these names lead by the environment; or what is wrong with it, in
    /// words.
    pub(crate) fn by_variable(&self, names: &[&str]) -> (BTreeMap<String, String>, Vec<String>) {
        let (mut found, mut mistakes) = (BTreeMap::new(), self.mistakes.clone());
        for (variable, address) in &self.variables {
            let mut named = names.iter().filter(|name| variable_of(name) == *variable);
            match (named.next(), named.next()) {
                (Some(name), None) => {
                    found.insert((*name).to_owned(), address.clone());
                }
                (Some(first), Some(second)) => mistakes.push(format!(
                    "the variable `{variable}` may mean the endpoint `{first}` or `{second}`; \
                     rename one of them"
                )),
                (None, _) => mistakes.push(format!(
                    "the variable `{variable}` is for no endpoint of this application; those are: \
                     {}",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                )),
            }
        }
        (found, mistakes)
    }
}

/// The variable that says where the endpoint of this name leads.
fn variable_of(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().fold(ENDPOINT_PREFIX.to_owned(), |mut variable, c| {
        variable.push(plain(c));
        variable
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Config {
        Config::from_vars(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_names_endpoints_by_their_upper_case() {
        let config = vars(&[
            ("JASPER_SERVICE", "shop"),
            ("JASPER_LISTEN", "tcp://[::1]:1, durable://127.0.0.1:2"),
            ("JASPER_ENDPOINT_EU_SHIPPING", "tcp://host:3"),
            ("JASPER_SEED", "7"),
            ("HOME", "/"),
        ]);
        assert_eq!(config.service.as_deref(), Some("shop"));
        let listen = config.listen.as_deref().unwrap();
        assert_eq!(listen, ["tcp://[::1]:1", "durable://127.0.0.1:2"]);
        let (found, mistakes) = config.by_variable(&["eu.shipping", "billing"]);
        assert_eq!(found.get("eu.shipping").map(String::as_str), Some("tcp://host:3"));
        assert_eq!((found.len(), mistakes), (1, vec![]));
    }

    #[test]
    fn a_variable_that_is_no_number_or_no_choice_is_a_mistake() {
        let config = vars(&[("JASPER_MEMORY_BUDGET", "65536"), ("JASPER_SEND_ONLY", "true")]);
        assert_eq!((config.memory_budget, config.send_only), (Some(65_536), Some(true)));
        let config = vars(&[("JASPER_MEMORY_BUDGET", "64MB"), ("JASPER_SEND_ONLY", "yes")]);
        let (_, mistakes) = config.or(Config::default()).by_variable(&[]);
        assert!(mistakes[0].contains("`64MB`, not a number of bytes"), "{mistakes:?}");
        assert!(mistakes[1].contains("`yes`, not `true` or `false`"), "{mistakes:?}");
    }

    #[test]
    fn a_variable_for_no_endpoint_or_for_two_is_a_mistake() {
        let config = vars(&[("JASPER_ENDPOINT_A_B", "tcp://host:1")]);
        let (found, mistakes) = config.by_variable(&["a.b", "a-b"]);
        assert!(found.is_empty() && mistakes[0].contains("`a.b` or `a-b`"), "{mistakes:?}");
        let (_, mistakes) = config.by_variable(&["c"]);
        assert!(mistakes[0].contains("for no endpoint") && mistakes[0].ends_with("c"));
    }

    #[test]
    fn what_is_said_last_goes_first_also_over_the_environment() {
        let table = [("b".to_owned(), "tcp://h:1".to_owned())].into();
        let file = Config { endpoints: table, ..Config::default() };
        let environment = vars(&[("JASPER_ENDPOINT_B", "tcp://h:2")]);
        assert!(file.clone().or(environment.clone()).by_variable(&["b"]).0.is_empty());
        assert_eq!(environment.or(file).by_variable(&["b"]).0["b"], "tcp://h:2");
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
