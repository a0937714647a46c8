//! The rules that a handler has to keep, as far as its tokens show them.

use syn::visit::{self, Visit};
use syn::{Safety, Type, TypeImplTrait};

use super::model::{Argument, MOST_ARGUMENTS, Model};
use crate::diagnostics::Diagnostics;
use crate::message::{QUEUE_GRAMMAR, is_queue};

/// Reports every mistake in `model`.
pub(super) fn validate(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    check_receiver(model, diagnostics);
    check_async(model, diagnostics);
    check_qualifiers(model, diagnostics);
    check_generics(model, diagnostics);
    check_message(model, diagnostics);
    check_arguments(model, diagnostics);
    check_connections(model, diagnostics);
    check_output(model, diagnostics);
    check_queue(model, diagnostics);
    check_retries(model, diagnostics);
    check_share(model, diagnostics);
}

/// There is no instance on which the runtime could call a method.
fn check_receiver(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if let Some(receiver) = model.receiver {
        diagnostics.at(
            receiver,
            "a handler is a free function and takes no `self`: \
             register the value with `.state(value)` and take `State<T>`",
        );
    } else if let Some(word) = model.self_type() {
        diagnostics.at(
            word,
            "a handler is a free function, which has no `Self`: move it out of the `impl` or \
             trait, and write the name of the type",
        );
    }
}

fn check_async(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if model.signature.asyncness.is_none() {
        let message = "a handler is async: write `async fn`; where that is written, an attribute \
                       above has changed it, such as `#[tokio::main]`: remove that attribute";
        diagnostics.at(model.signature.fn_token, message);
    }
}

/// Calling an unsafe function needs a promise that cannot be made for every message.
fn check_qualifiers(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if let Safety::Unsafe(token) = &model.signature.safety {
        diagnostics.at(token, "a handler cannot be `unsafe`: remove the word");
    }
    if let Some(abi) = &model.signature.abi {
        diagnostics.at(abi, "a handler is an ordinary function: remove `extern`");
    }
}

/// A handler is registered once, for one message and with concrete arguments.
fn check_generics(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if model.is_generic() {
        diagnostics.at(
            &model.signature.generics,
            "a handler cannot be generic: write one handler for each message, \
             and let them call a generic function",
        );
    }
}

fn check_message(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    let signature = model.signature;
    match model.message {
        None if model.receiver.is_none() => diagnostics.at(
            &signature.ident,
            "a handler takes its message as the first argument: \
             add one of a type that derives `Command` or `Event`",
        ),
        Some(Type::Reference(reference)) if reference.mutability.is_some() => diagnostics.at(
            reference,
            "the first argument is the message, and it is taken by value: remove the `&mut`, or \
             put the message before the connection",
        ),
        Some(Type::Reference(reference)) => diagnostics
            .at(reference, "the message comes first and is taken by value: remove the `&`"),
        Some(message) => refuse_impl_trait(message, ARGUMENT_IMPL, diagnostics),
        None => {}
    }
}

fn check_arguments(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    // Those under conditions may not be there.
    let is_there = |argument: &&Argument<'_>| match argument {
        Argument::Value(_, conditions) | Argument::Connection(_, conditions) => {
            conditions.is_empty()
        }
        Argument::Shared(_) => true,
    };
    if model.arguments.iter().filter(is_there).count() > MOST_ARGUMENTS {
        let message = format!(
            "a handler takes at most {MOST_ARGUMENTS} arguments after its message: register one \
             value that has several of these, and take it as `State`"
        );
        diagnostics.at(&model.signature.ident, message);
    }
    for argument in &model.arguments {
        match argument {
            Argument::Value(value, _) => refuse_impl_trait(value, ARGUMENT_IMPL, diagnostics),
            Argument::Shared(reference) => diagnostics.at(
                reference,
                "a handler takes its arguments by value: take `State<T>` instead of `&T`, \
                 or `&mut` the store's connection",
            ),
            Argument::Connection(reference, _) => {
                refuse_impl_trait(&reference.elem, ARGUMENT_IMPL, diagnostics);
            }
        }
    }
}

/// Only a durable handler runs in a transaction, and the transaction is on one connection. Those
/// under conditions may be one in each case.
fn check_connections(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    let mut connections = model.arguments.iter().filter_map(|argument| match argument {
        Argument::Connection(reference, conditions) => Some((*reference, conditions)),
        _ => None,
    });
    let Some((first, conditions)) = connections.next() else {
        return;
    };
    let is_alone = conditions.is_empty();
    if model.durable.is_none() {
        diagnostics.at(
            first,
            "only a durable handler runs in a transaction: add `#[durable]` to take its connection \
             as `&mut`, or take the argument by value",
        );
    }
    for (further, _) in connections.filter(|(_, conditions)| is_alone && conditions.is_empty()) {
        let message = "a handler runs in one transaction: take one `&mut` connection";
        diagnostics.at(further, message);
    }
}

fn check_output(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    // A function that is not async often returns its future so, which is one mistake.
    if let Some(output) = model.output()
        && model.signature.asyncness.is_some()
    {
        refuse_impl_trait(output, OUTPUT_IMPL, diagnostics);
    }
}

fn check_queue(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    if let Some(queue) = &model.args.queue
        && !is_queue(&queue.value())
    {
        let what = format!("`{}` is not the name of a queue", queue.value());
        diagnostics.at(queue, format!("{what}: {QUEUE_GRAMMAR}"));
    }
}

/// The first attempt waits for nothing, so there is one attempt more than there are delays, at
/// least.
fn check_retries(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    let delays = model.args.delays.as_ref().map_or(0, Vec::len);
    let (Some(attempts), Some(key)) = (model.args.attempts, &model.args.attempts_key) else {
        return;
    };
    if delays > 0 && usize::try_from(attempts).is_ok_and(|attempts| attempts <= delays) {
        let message = format!(
            "{attempts} attempts leave no room for {delays} delays, as the first attempt waits \
             for nothing: write `attempts = {}` or more",
            delays + 1
        );
        diagnostics.at(key, message);
    }
}

/// What is shared is the transaction on the connection.
fn check_share(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    let key = model.durable.as_ref().and_then(|durable| durable.share_key.as_ref());
    if let Some(key) = key
        && model.connection().is_none()
    {
        diagnostics.at(
            key,
            "`share` lets runs of a handler share a transaction, and this one has none: take the \
             store's connection as `&mut`, or remove `share`",
        );
    }
}

const ARGUMENT_IMPL: &str = "the type of an argument has to be named, as jasper supplies the \
                             value: write a type instead of `impl …`";

const OUTPUT_IMPL: &str = "the return type has to be named, as the messages in it are routed by \
                           their types: write the message's type instead of `impl …`";

/// Looks for `impl Trait` however deep in `within`.
fn refuse_impl_trait(within: &Type, message: &str, diagnostics: &mut Diagnostics) {
    struct Search<'d> {
        message: &'d str,
        diagnostics: &'d mut Diagnostics,
    }
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
            self.diagnostics.at(found, self.message);
        }
    }
    let mut search = Search { message, diagnostics };
    visit::visit_type(&mut search, within);
}
