//! What stands beside a handler's function. Nothing here can fail.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Type};

use super::model::{Argument, Model};
use crate::lifetimes::without_names;
use crate::paths::{ends, generated_at};
use crate::signature::has_word;
use crate::value::expand_duration;

/// All that the macro emits beside the function: a call of the macro that has the rest.
pub(super) fn expand(model: &Model<'_>) -> TokenStream {
    let Some(message) = model.message else {
        return TokenStream::new();
    };
    let place = generated_at(model.place());
    // Spanned so that lints of the user's crate do not apply to it.
    let mut function = model.ident().clone();
    function.set_span(place);
    let name = model.name();
    let run = run(model);
    let settings = settings(model, place);
    let mut questions = TokenStream::new();
    let mut values = TokenStream::new();
    let mut connections = TokenStream::new();
    let mut passed = TokenStream::new();
    for (index, argument) in model.arguments.iter().enumerate() {
        let (taken, conditions, typed, word) = match argument {
            Argument::Value(value, conditions) => (&mut values, conditions, *value, "is_argument"),
            Argument::Connection(reference, conditions) => {
                (&mut connections, conditions, &*reference.elem, "is_connection")
            }
            // Refused before; nothing is expanded for a handler with a mistake.
            Argument::Shared(_) => continue,
        };
        let name = format_ident!("__argument_{index}", span = place);
        let typed = without_names(typed.to_token_stream());
        questions.extend(question(model, conditions, &typed, word));
        taken.extend(quote_spanned!(place=> #(#conditions)* #name: #typed,));
        passed.extend(quote_spanned!(place=> #(#conditions)* #name,));
    }
    let (first, proof) = (Ident::new(FIRST, place), Ident::new(PROOF, place));
    let proofs = if questions.is_empty() {
        quote_spanned!(place=> #proof [])
    } else {
        quote_spanned!(place=> #first [#proof #questions])
    };
    let rest = quote_spanned! {place=>
        #function #name (#run) [#settings] #proofs [#values] [#connections] [#passed]
    };
    beside(model, message, &rest)
}

const PROOF: &str = "__Proof";
/// The proof of the message alone: of the arguments is asked where it holds.
const FIRST: &str = "__First";

/// The hidden module of jasper.
fn private(model: &Model<'_>, span: Span) -> TokenStream {
    match &model.args.root {
        Some(root) => quote_spanned!(span=> #root::__private),
        None => quote_spanned!(span=> ::jasper::__private),
    }
}

/// Asks whether an argument is what it has to be. All of it has the place of the argument's type,
/// where the compiler then shows what it is not.
fn question(
    model: &Model<'_>,
    conditions: &[&Attribute],
    typed: &TokenStream,
    question: &str,
) -> TokenStream {
    let span = ends(typed).0;
    let private = private(model, span);
    let question = Ident::new(question, span);
    let first = Ident::new(FIRST, generated_at(span));
    quote_spanned! {span=>
        #(#conditions)* #private::#question::<#private::Proven<#typed, #first>>();
    }
}

/// Spanned at the return type, where the compiler reports what cannot be returned or has no
/// handler; in a call it would report that at the argument.
fn run(model: &Model<'_>) -> TokenStream {
    let (first, last) = match model.output() {
        Some(output) => ends(&output.to_token_stream()),
        None => (model.place(), model.place()),
    };
    let private = private(model, first);
    let proof = Ident::new(PROOF, generated_at(first));
    let open = quote_spanned!(first=> #private::run::<__Message, #proof, _, _);
    quote_spanned!(last=> #open>)
}

/// What a handler with a mistake leaves behind: its message counts as handled, so that the mistake
/// is the only error.
pub(super) fn stand_in(model: &Model<'_>) -> TokenStream {
    let Some(message) = model.message else {
        return TokenStream::new();
    };
    if model.is_generic() || has_word(&["impl", "Self"], message.to_token_stream()) {
        return TokenStream::new();
    }
    let message = match message {
        Type::Reference(reference) => &reference.elem,
        message => message,
    };
    beside(model, message, &TokenStream::new())
}

/// The call of the macro. What it emits is a constant, which has a name, as it may stand in an
/// `impl`, where a function without `self` is not to be told from a free one.
///
/// The impl is shown at the function's name, where the compiler points when a command has two
/// handlers.
fn beside(model: &Model<'_>, message: &Type, rest: &TokenStream) -> TokenStream {
    let shown = model.place();
    let place = generated_at(shown);
    let conditions = &model.conditions;
    let deprecated = model.is_deprecated.then(|| quote_spanned!(place=> #[allow(deprecated)]));
    let marker = marker_ident(model);
    let constant = constant_ident(model, &marker);
    let message = without_names(message.to_token_stream());
    let header = quote_spanned!(shown=> impl {});
    let private = private(model, place);
    quote_spanned! {place=>
        #private::handler! {
            #(#conditions)* #deprecated #constant #marker #header (#message) #rest
        }
    }
}

/// The name of the constant. The message is in it, so that a function that was copied, and kept its
/// name, is not reported twice.
fn constant_ident(model: &Model<'_>, marker: &Ident) -> Ident {
    let Some(Type::Path(message)) = model.message else {
        return marker.clone();
    };
    match message.path.segments.last() {
        Some(last) => format_ident!("{}_of_{}", marker, last.ident, span = marker.span()),
        None => marker.clone(),
    }
}

/// The name of the type that stands for the handler. It shows the function in errors.
fn marker_ident(model: &Model<'_>) -> Ident {
    format_ident!("__handler_{}", model.name(), span = generated_at(model.place()))
}

/// What the attributes say, as calls of methods of the registration.
fn settings(model: &Model<'_>, place: Span) -> TokenStream {
    let args = &model.args;
    let queue = args.queue.as_ref().map(|it| quote_spanned!(place=> .queue(#it)));
    let concurrency = args.concurrency.map(|it| quote_spanned!(place=> .concurrency(#it)));
    let attempts = args.attempts.map(|it| quote_spanned!(place=> .attempts(#it)));
    let delays = args.delays.as_ref().map(|delays| {
        let delays = delays.iter().map(|delay| expand_duration(place, *delay));
        quote_spanned!(place=> .delays(&[#(#delays),*]))
    });
    let timeout = args.timeout.map(|it| {
        let timeout = expand_duration(place, it);
        quote_spanned!(place=> .timeout(#timeout))
    });
    let durable = model.durable.as_ref().map(|durable| {
        let share = durable.share.map(|it| quote_spanned!(place=> .share(#it)));
        quote_spanned!(place=> .durable() #share)
    });
    quote!(#queue #concurrency #attempts #delays #timeout #durable)
}
