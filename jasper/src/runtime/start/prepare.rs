//! What transports find on the other side before anything is sent or received.

use super::endpoint_config::{ResolvedEndpoints, Route};
use crate::error::{Problem, StartupProblems};
use crate::runtime::panic_safe::PanicSafeTransport;
use crate::transport::{Direction, EndpointUri};

/// The endpoints and listeners of one transport, each with the name for a problem of it.
struct Prepared<'a> {
    transport: PanicSafeTransport,
    endpoints: Vec<(EndpointUri, Direction)>,
    names: Vec<Name<'a>>,
}

enum Name<'a> {
    Endpoint(&'a str),
    Listener(&'a str),
}

impl Name<'_> {
    fn problem(&self, why: String) -> Problem {
        match *self {
            Self::Endpoint(name) => Problem::Endpoint { endpoint: name.to_owned(), why },
            Self::Listener(address) => Problem::Listener { address: address.to_owned(), why },
        }
    }
}

/// Asks each transport for its part. The addresses are checked.
///
/// # Errors
/// Some endpoints cannot be used; all of them are listed.
pub(super) async fn prepare(resolved: &ResolvedEndpoints) -> Result<(), StartupProblems> {
    let mut problems = Vec::new();
    for prepared in by_transport(resolved) {
        let found = prepared.transport.prepare(&prepared.endpoints).await;
        for (number, error) in found {
            problems.extend(prepared.names.get(number).map(|name| name.problem(error.to_string())));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(StartupProblems::new(problems)) }
}

fn by_transport(resolved: &ResolvedEndpoints) -> Vec<Prepared<'_>> {
    let mut all: Vec<Prepared<'_>> = Vec::new();
    let mut add = |transport: PanicSafeTransport, uri, direction, name| {
        let known = all.iter().position(|known| known.transport.is(&transport));
        let number = known.unwrap_or(all.len());
        if known.is_none() {
            all.push(Prepared { transport, endpoints: Vec::new(), names: Vec::new() });
        }
        all[number].endpoints.push((uri, direction));
        all[number].names.push(name);
    };
    for (name, address) in &resolved.endpoints {
        if let Ok(Route::Remote(transport, uri, _)) = resolved.route(name, address) {
            add(transport, uri, Direction::Send, Name::Endpoint(name));
        }
    }
    for address in &resolved.listeners {
        if let Ok(spec) = resolved.listener_spec(address) {
            add(spec.transport, spec.uri, Direction::Listen, Name::Listener(address));
        }
    }
    all
}
