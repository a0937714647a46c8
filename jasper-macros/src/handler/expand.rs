//! What stands beside a handler's function. Nothing here can fail.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;

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
    let function = function(model);
    let name = model.name();
    let settings = settings(model, place);
    let call = Ident::new("__call", place);
    let body = body(model, &call);
    let rest = quote_spanned!(place=> #function #name [#settings] #call [#body]);
    beside(model, message, &rest)
}

/// The call of the function: what it takes, one after the other, and then the function itself.
///
/// The compiler infers the types. What it reports of an argument has the place of the argument's
/// type; what cannot be returned, or has no handler, that of the return type. In a call it would
/// show that at what is passed, so what is called stands before the call.
fn body(model: &Model<'_>, call: &Ident) -> TokenStream {
    let mut statements = TokenStream::new();
    let mut steps = call.to_token_stream();
    for argument in &model.arguments {
        let (typed, conditions, step) = match argument {
            Argument::Value(value, conditions) => (*value, conditions, "argument"),
            Argument::Connection(reference, conditions) => {
                (&*reference.elem, conditions, "connection")
            }
            // Refused before; nothing is expanded for a handler with a mistake.
            Argument::Shared(_) => continue,
        };
        let place = ends(&typed.to_token_stream()).0;
        let step = Ident::new(step, place);
        if conditions.is_empty() {
            steps = quote_spanned!(place=> #steps.#step());
            continue;
        }
        // Only a statement can have a condition.
        statements.extend(quote_spanned! {place=>
            let #call = #steps;
            #(#conditions)* let #call = #call.#step();
        });
        steps = call.to_token_stream();
    }
    let shown = match model.output() {
        Some(output) => ends(&output.to_token_stream()).0,
        None => model.place(),
    };
    let place = generated_at(shown);
    let (private, run) = (private(model, shown), Ident::new("__run", place));
    let run_of_call = quote_spanned!(shown=> #private::Call::<__Message, _>::run::<_, _, _>);
    let function = function(model);
    quote_spanned! {place=>
        #statements
        let #run = #run_of_call;
        #run(#steps, #function, 0)
    }
}

/// The function's name. Spanned so that lints of the user's crate do not apply to it.
fn function(model: &Model<'_>) -> Ident {
    let mut function = model.ident().clone();
    function.set_span(generated_at(model.place()));
    function
}

/// The hidden module of jasper.
fn private(model: &Model<'_>, span: Span) -> TokenStream {
    match &model.args.root {
        Some(root) => quote_spanned!(span=> #root::__private),
        None => quote_spanned!(span=> ::jasper::__private),
    }
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
    let connection = model.connection().map(|_| quote_spanned!(place=> .takes_connection()));
    let durable = model.durable.as_ref().map(|durable| {
        let share = durable.share.map(|it| quote_spanned!(place=> .share(#it)));
        quote_spanned!(place=> .durable() #share)
    });
    quote!(#queue #concurrency #attempts #delays #timeout #durable #connection)
}
