//! Which handlers an application has.

use std::any::type_name;

use crate::error::Problem;
#[cfg(feature = "testing")]
use crate::handler::Handler;
use crate::handler::HandlerRegistration;
#[cfg(feature = "testing")]
use crate::message::{Message, MessageType};

/// Which handlers an application has: those of the program, or those that were chosen.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// None: all of the program.
    chosen: Option<Vec<HandlerRegistration>>,
    /// What was given as a handler, and is none.
    strangers: Vec<&'static str>,
    /// The commands whose handlers closures stand in for.
    #[cfg(feature = "testing")]
    faked: Vec<MessageType>,
}

impl Selection {
    /// The handler that this function is. Any other function is a problem.
    pub(crate) fn find<F: 'static>(&mut self, function: F) -> Option<HandlerRegistration> {
        let found = HandlerRegistration::of(function);
        if found.is_none() {
            self.strangers.push(type_name::<F>());
        }
        found
    }

    /// Takes the handler that this function is, and no others than those chosen so.
    pub(crate) fn choose<F: 'static>(&mut self, function: F) {
        let found = self.find(function);
        let chosen = self.chosen.get_or_insert_default();
        // Given twice it is still one.
        chosen.extend(found.filter(|found| !chosen.iter().any(|it| it.is_same(found))));
    }

    /// The same for one that has no function.
    #[cfg(feature = "testing")]
    pub(crate) fn register<M: Message, H: Handler<M>>(&mut self) {
        self.chosen.get_or_insert_default().push(H::REGISTRATION);
    }

    /// A closure stands in for the handler of this command.
    #[cfg(feature = "testing")]
    pub(crate) fn fake(&mut self, command: MessageType) {
        self.faked.push(command);
    }

    /// Whether the program's other handlers are left out.
    pub(crate) const fn is_chosen(&self) -> bool {
        self.chosen.is_some()
    }

    /// What was given as a handler, and is none.
    pub(crate) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.strangers.iter().map(|&function| Problem::NotAHandler { function })
    }

    /// The handlers, sorted, as `inventory` gives them in no order.
    pub(crate) fn registrations(&self) -> Vec<HandlerRegistration> {
        let all = || inventory::iter::<HandlerRegistration>().copied().collect();
        let mut handlers = self.chosen.clone().unwrap_or_else(all);
        #[cfg(feature = "testing")]
        self.put_fakes(&mut handlers);
        handlers.sort_by_key(|handler| (handler.module, handler.name, handler.location));
        handlers
    }

    /// The handlers, each as it is, or as one that a closure stands in for.
    #[cfg(feature = "testing")]
    fn put_fakes(&self, handlers: &mut Vec<HandlerRegistration>) {
        let is_faked = |it: &&HandlerRegistration| self.faked.contains(&(it.message_type)());
        let fakes: Vec<_> = inventory::iter::<HandlerRegistration>()
            .filter(is_faked)
            .map(|handler| handler.faked())
            .collect();
        handlers.retain(|handler| !is_faked(&handler));
        handlers.extend(fakes);
    }
}
