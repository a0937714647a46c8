//! The registration of a handler, made out of its type.

use std::any::TypeId;
use std::panic::Location;

use super::call::Call;
use super::erased::{answer, run_unanswered};
use super::function::Handler;
use super::proof::message_type;
use super::registration::HandlerRegistration;
use super::requirement::Requirements;
use crate::message::kind::Kind;
use crate::message::{Message, SourceLocation};

impl HandlerRegistration {
    /// Used by generated code, for a handler whose attribute says nothing.
    #[doc(hidden)]
    #[track_caller]
    pub const fn new<M: Message, H: Handler<M>, F: 'static>(
        _function: &F,
        name: &'static str,
        module: &'static str,
    ) -> Self {
        let place = Location::caller();
        Self {
            function: TypeId::of::<F>,
            name,
            module,
            location: SourceLocation { file: place.file(), line: place.line() },
            message_type: message_type::<M>,
            kind: <M::Kind as Kind>::KIND,
            queue: name,
            names_queue: false,
            concurrency: None,
            attempts: None,
            delays: None,
            timeout: None,
            durable: false,
            share: None,
            takes_connection: false,
            requirements: requirements_of::<M, H>,
            run: run_unanswered::<M, H>,
            answer: answer::<M, H>,
        }
    }
}

/// What the arguments of the function need.
fn requirements_of<M: Message, H: Handler<M>>() -> Requirements {
    let mut requirements = Requirements::default();
    // It is described, and not run.
    drop(H::call(Call::describing(&mut requirements)));
    requirements
}
