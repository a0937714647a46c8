//! Everything outside of this process, as it is configured: endpoints, listeners, transports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::config::Config;
use super::conventions::{Conventions, Routed};
use crate::envelope::Address;
use crate::error::{Problem, StartupProblems};
use crate::handler::HandlerRegistration;
use crate::message::{MessageRegistration, MessageType};
use crate::runtime::memory::budget::Budget;
use crate::runtime::outbound::endpoint::{Endpoint, destination};
use crate::runtime::outbound::options::{SendOptions, take_mode};
use crate::runtime::outbound::target::Target;
use crate::runtime::panic_safe::PanicSafeTransport;
use crate::transport::{
    Deployment, Direction, EndpointUri, Mode, Transport, TransportRegistration, UriError, masked,
};

/// What the builder sets for endpoints, listeners and transports.
#[derive(Debug, Default)]
pub(crate) struct EndpointConfig {
    /// Where endpoints lead, by name.
    pub(crate) endpoints: BTreeMap<String, String>,
    /// Where to listen.
    pub(crate) listeners: Vec<String>,
    /// To which endpoints events are published.
    pub(crate) publications: Vec<(MessageType, String)>,
    /// What this application never sends.
    pub(crate) never_sent: BTreeSet<MessageType>,
    /// Those that the application brings.
    pub(crate) transports: Vec<Arc<dyn Transport>>,
    /// The transport by whose conventions messages are routed that are not configured.
    pub(crate) conventional: Option<String>,
    /// What the deployment says.
    pub(crate) config: Config,
}

/// The same with the defaults of this build, and what the deployment says put in its place.
#[derive(Debug)]
pub(crate) struct ResolvedEndpoints {
    pub(crate) endpoints: BTreeMap<String, String>,
    pub(crate) listeners: Vec<String>,
    pub(crate) publications: Vec<(MessageType, String)>,
    pub(crate) never_sent: BTreeSet<MessageType>,
    transports: Vec<PanicSafeTransport>,
    problems: Vec<Problem>,
}

/// Where an address leads.
#[derive(Debug)]
pub(crate) enum Route {
    /// To a queue of this process.
    Queue(String),
    /// To another process.
    Remote(PanicSafeTransport, EndpointUri, SendOptions),
}

/// Where and how to listen.
#[derive(Debug, Clone)]
pub(crate) struct ListenerSpec {
    pub(crate) transport: PanicSafeTransport,
    pub(crate) uri: EndpointUri,
    pub(crate) mode: Mode,
}

impl EndpointConfig {
    /// What is configured altogether, for these messages of the program; the others may name
    /// endpoints, too.
    pub(crate) fn resolve(
        &self,
        service: &str,
        messages: &[&MessageRegistration],
        all: &[&MessageRegistration],
        handlers: &[HandlerRegistration],
    ) -> ResolvedEndpoints {
        let mut endpoints = self.endpoints.clone();
        endpoints.extend(self.config.endpoints.clone());
        let named = all
            .iter()
            .filter_map(|message| message.to)
            .chain(self.publications.iter().map(|(_, endpoint)| endpoint.as_str()))
            .filter(|to| !to.contains("://"));
        let mut names: Vec<&str> = endpoints.keys().map(String::as_str).chain(named).collect();
        names.sort_unstable();
        names.dedup();
        let (by_variable, mistakes) = self.config.variables.endpoints(&names);
        let mistakes = self.config.variables.mistakes.iter().cloned().chain(mistakes);
        endpoints.extend(by_variable);
        // An address in place of a name is an endpoint of its own.
        let is_sent = |m: &&&MessageRegistration| !self.never_sent.contains(&m.message_type);
        for to in messages.iter().filter(is_sent).filter_map(|message| message.to) {
            let is_outside = to.parse().is_ok_and(|address: Address| !address.is_local());
            if is_outside {
                endpoints.entry(to.to_owned()).or_insert_with(|| to.to_owned());
            }
        }
        let mut publications = self.publications.clone();
        publications.sort_unstable();
        publications.dedup();
        let defaults = inventory::iter::<TransportRegistration>().map(|default| (default.make)());
        let mut problems: Vec<_> = mistakes.map(|why| Problem::Config { why }).collect();
        let mut transports = Vec::new();
        for transport in self.transports.iter().cloned().chain(defaults) {
            match PanicSafeTransport::new(transport) {
                Ok(transport) => transports.push(transport),
                Err(why) => problems.push(Problem::Config { why }),
            }
        }
        problems.extend(configure(&transports, service, &self.config));
        let mut resolved = ResolvedEndpoints {
            endpoints,
            listeners: self.config.listen.clone().unwrap_or_else(|| self.listeners.clone()),
            publications,
            never_sent: self.never_sent.clone(),
            transports,
            problems,
        };
        if let Some(name) = &self.conventional {
            resolved.route_by_conventions(name, service, all, handlers);
        }
        resolved
    }
}

/// Configures the transports by what the deployment says of them; gives what is wrong with that.
fn configure(transports: &[PanicSafeTransport], service: &str, config: &Config) -> Vec<Problem> {
    let deployment = Deployment::new(service, config.brokers.clone());
    let is_of = |broker: &str, transport: &str| {
        let rest = broker.strip_prefix(transport);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let names: Vec<_> = transports.iter().map(|transport| transport.info().name).collect();
    let is_unknown = |key: &&String| !names.iter().any(|name| is_of(key, name));
    let unknown = config.brokers.keys().filter(is_unknown).map(|key| Problem::Config {
        why: format!(
            "the configuration names the broker `{key}`, and no transport of this build is called \
             so; those are: {}",
            names.join(", ")
        ),
    });
    let mut problems: Vec<_> = unknown.collect();
    for transport in transports {
        if let Err(error) = transport.configure(&deployment) {
            problems.push(Problem::Config { why: error.to_string() });
        }
    }
    problems
}

impl ResolvedEndpoints {
    /// Adds what the conventions of this transport say; what is configured stays.
    fn route_by_conventions(
        &mut self,
        name: &str,
        service: &str,
        messages: &[&MessageRegistration],
        handlers: &[HandlerRegistration],
    ) {
        let routed = Routed {
            service,
            messages,
            handlers,
            never_sent: &self.never_sent,
            endpoints: &self.endpoints,
            publications: &self.publications,
        };
        let transport = self.transports.iter().find(|transport| transport.info().name == name);
        let conventions = match transport {
            Some(transport) => Conventions::of(transport, &routed),
            None => Err(format!(
                "conventional routing: this build has no transport `{name}`; those are: {}",
                self.names()
            )),
        };
        match conventions {
            Ok(conventions) => {
                for (endpoint, address) in conventions.endpoints {
                    self.endpoints.entry(endpoint).or_insert(address);
                }
                let place = |address: &str| address.split('?').next().map(str::to_owned);
                for listener in conventions.listeners {
                    if !self.listeners.iter().any(|known| place(known) == place(&listener)) {
                        self.listeners.push(listener);
                    }
                }
                self.publications.extend(conventions.publications);
            }
            Err(why) => self.problems.push(Problem::Config { why }),
        }
    }

    fn names(&self) -> String {
        let mut names: Vec<_> =
            self.transports.iter().map(|transport| transport.info().name).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// What is wrong with it.
    pub(crate) fn problems(&self, has_store: bool) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        let mut destinations = BTreeMap::new();
        for (name, address) in &self.endpoints {
            let route = self.route(name, address);
            if let Ok(Route::Remote(_, uri, _)) = &route
                && let Some(first) = destinations.insert(destination(name, &uri.address), name)
            {
                let why = format!("it leads where `{first}` leads; give it a name of its own");
                problems.push(Problem::Endpoint { endpoint: name.clone(), why });
            }
            match route {
                Ok(Route::Remote(_, _, options)) if options.mode == Mode::Durable && !has_store => {
                    let what = format!("the durable endpoint `{name}`");
                    problems.push(Problem::NoStore { what });
                }
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
        for address in &self.listeners {
            match self.listener_spec(address) {
                Ok(spec) if spec.mode == Mode::Durable && !has_store => {
                    problems.push(Problem::NoStore { what: format!("listening at `{address}`") });
                }
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
        self.check_publications(&mut problems);
        problems
    }

    fn check_publications(&self, problems: &mut Vec<Problem>) {
        for (message_type, endpoint) in &self.publications {
            let why = match self.endpoints.get(endpoint) {
                None => format!("is not configured; add `.endpoint(\"{endpoint}\", \"…\")`"),
                Some(address) => match self.route(endpoint, address) {
                    Ok(Route::Queue(_)) => "is a queue of this application: its handlers get the \
                                          event anyway"
                        .to_owned(),
                    // The endpoint's own mistakes are reported once.
                    Ok(Route::Remote(..)) | Err(_) => continue,
                },
            };
            let (message_type, endpoint) = (message_type.clone(), endpoint.clone());
            problems.push(Problem::Publication { message_type, endpoint, why });
        }
    }

    /// Where the endpoint of this name leads.
    pub(crate) fn route(&self, name: &str, address: &str) -> Result<Route, Problem> {
        let wrong = |why: String| Problem::Endpoint { endpoint: masked(name).into_owned(), why };
        let mut uri: EndpointUri = address.parse().map_err(|error| {
            if name == address || matches!(error, UriError::Secret { .. }) {
                wrong(format!("{error}"))
            } else {
                Problem::InvalidAddress { endpoint: name.to_owned(), address: address.to_owned() }
            }
        })?;
        if let Some(queue) = uri.address.queue() {
            return match uri.options.keys().next() {
                None => Ok(Route::Queue(queue.to_owned())),
                Some(option) => Err(wrong(format!(
                    "`{option}`: the address of a queue has no options; see `Builder::queue`"
                ))),
            };
        }
        let (transport, mode) = self.transport(uri.address.scheme()).ok_or_else(|| {
            let (endpoint, address) = (name.to_owned(), address.to_owned());
            Problem::NoTransport { endpoint, address, schemes: self.schemes() }
        })?;
        let options = SendOptions::take(&mut uri, mode).map_err(wrong)?;
        let info = transport.info();
        if options.ordered && !info.capabilities.order {
            return Err(wrong(format!("`order=strict`: {} keeps no order", info.name)));
        }
        let checked = transport.check(&uri, Direction::Send);
        checked.map_err(|error| wrong(error.to_string()))?;
        Ok(Route::Remote(transport.clone(), uri, options))
    }

    /// Where and how to listen by this address.
    pub(crate) fn listener_spec(&self, address: &str) -> Result<ListenerSpec, Problem> {
        let wrong = |why: String| Problem::Listener { address: masked(address).into_owned(), why };
        let mut uri: EndpointUri =
            address.parse().map_err(|error: UriError| wrong(error.to_string()))?;
        let (transport, mode) = self.transport(uri.address.scheme()).ok_or_else(|| {
            wrong(format!("this build has no transport for it; supported: {}", self.schemes()))
        })?;
        let mode = take_mode(&mut uri, mode).map_err(wrong)?;
        let checked = transport.check(&uri, Direction::Listen);
        checked.map_err(|error| wrong(error.to_string()))?;
        Ok(ListenerSpec { transport: transport.clone(), uri, mode })
    }

    /// The targets of all endpoints; their ways are checked.
    pub(crate) fn targets(
        &self,
        budget: &Arc<Budget>,
    ) -> Result<BTreeMap<String, Target>, StartupProblems> {
        let mut targets = BTreeMap::new();
        for (name, address) in &self.endpoints {
            let failed = |problem| StartupProblems::new(vec![problem]);
            let target = match self.route(name, address).map_err(failed)? {
                Route::Queue(queue) => Target::Queue(queue),
                Route::Remote(transport, uri, options) => {
                    let why = |error: crate::transport::TransportError| {
                        let (endpoint, why) = (name.clone(), error.to_string());
                        failed(Problem::Endpoint { endpoint, why })
                    };
                    let sender = transport.sender(&uri).map_err(why)?;
                    let endpoint =
                        Endpoint::new(name.clone(), uri.address, options, sender, budget);
                    Target::Remote(Arc::new(endpoint))
                }
            };
            targets.insert(name.clone(), target);
        }
        Ok(targets)
    }

    fn transport(&self, scheme: &str) -> Option<(&PanicSafeTransport, Mode)> {
        self.transports.iter().find_map(|transport| {
            let of_name = transport.info().schemes.iter().find(|known| known.name == scheme)?;
            Some((transport, of_name.mode))
        })
    }

    fn schemes(&self) -> String {
        let served = self.transports.iter().flat_map(|transport| transport.info().schemes);
        let mut schemes: Vec<&str> = served.map(|scheme| scheme.name).collect();
        schemes.sort_unstable();
        schemes.dedup();
        schemes.insert(0, "local");
        schemes.join(", ")
    }
}
