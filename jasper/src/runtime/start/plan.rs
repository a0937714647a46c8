//! What is checked before an application starts, and what comes of it.

use super::check::{Checked, Configured};
use super::endpoint_config::ResolvedEndpoints;
use super::handling::ResolvedHandling;
use super::parts::Parts;
#[cfg(feature = "testing")]
use super::selection::Selection;
use super::settings::Settings;
#[cfg(feature = "testing")]
use crate::error::Problem;
use crate::error::StartupProblems;
use crate::handler::HandlerRegistration;
use crate::message::MessageRegistration;

/// An application in which no mistake was found, with what the deployment says.
#[derive(Debug)]
pub(crate) struct StartPlan {
    pub(crate) settings: Settings,
    pub(crate) handlers: Vec<HandlerRegistration>,
    pub(crate) endpoints: ResolvedEndpoints,
    pub(crate) handling: ResolvedHandling,
}

impl StartPlan {
    /// Checks all that can be checked before anything is started.
    ///
    /// # Errors
    /// There are problems; all of them are listed.
    pub(crate) fn of(parts: &Parts) -> Result<Self, StartupProblems> {
        let handlers = parts.selection.registrations();
        let all = messages();
        let taken = |m: &&MessageRegistration| {
            handlers.iter().any(|h| (h.message_type)() == m.message_type)
        };
        // Of an application that chooses its handlers, what it sends is looked at when it is sent.
        let messages = if parts.selection.is_chosen() {
            all.iter().copied().filter(taken).collect()
        } else {
            all.clone()
        };
        let config = &parts.endpoint_config.config;
        let settings = parts.settings.clone().deployed(config);
        let plan = Self {
            endpoints: parts.endpoint_config.resolve(&settings.service, &messages, &all, &handlers),
            settings,
            handling: parts.handling.resolve(config, &handlers),
            handlers,
        };
        let checked = Checked { messages: &messages, handlers: &plan.handlers };
        let configured = Configured {
            endpoints: &plan.endpoints,
            handling: &plan.handling,
            send_only: plan.settings.send_only,
            states: &parts.states,
            store: parts.store.as_ref().map(|store| store.info()),
            has_codec: parts.codec.is_some(),
            package: parts.package,
        };
        let mut problems = checked.declarations();
        problems.extend(parts.selection.problems());
        problems.extend(configured.against(&checked));
        if problems.is_empty() { Ok(plan) } else { Err(StartupProblems::new(problems)) }
    }
}

/// All message types of the program, sorted, as `inventory` gives them in no order.
fn messages() -> Vec<&'static MessageRegistration> {
    let mut messages: Vec<_> = inventory::iter::<MessageRegistration>().collect();
    messages.sort_by_key(|message| (&message.message_type, message.location));
    messages
}

/// The problems of the program's declarations, without an application around them.
#[cfg(feature = "testing")]
pub(crate) fn check_declarations() -> Vec<Problem> {
    let handlers = Selection::default().registrations();
    let messages = messages();
    let checked = Checked { messages: &messages, handlers: &handlers };
    let mut problems = checked.declarations();
    messages.iter().for_each(|message| checked.subscriber(message, &mut problems));
    problems
}
