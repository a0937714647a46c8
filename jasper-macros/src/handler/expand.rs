//! What stands beside a handler's function. Nothing here can fail.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{LitStr, Type};

use super::model::{Argument, Model};
use crate::paths::{ends, generated_at, private};
use crate::value::expand_duration;

/// All that the macro emits beside the function.
pub(super) fn expand(model: &Model<'_>) -> TokenStream {
    let Some(message) = model.message else {
        return TokenStream::new();
    };
    let place = generated_at(model.place());
    let conditions = &model.conditions;
    let deprecated = model.is_deprecated.then(|| quote_spanned!(place=> #[allow(deprecated)]));
    let marker = marker(model, message);
    let handled = handled_impl(model, message);
    let message_proof = message_proof(message);
    let connection_proof = model.connection().map(connection_proof);
    let handler = handler_impl(model);
    let submission = submission(model);
    quote_spanned! {place=>
        #marker
        #(#conditions)*
        #deprecated
        const _: () = {
            #handled
            #message_proof
            #connection_proof
            #handler
            #submission
        };
    }
}

/// What a handler with a mistake leaves behind: its message counts as handled, so that the mistake
/// is the only error.
pub(super) fn stand_in(model: &Model<'_>) -> TokenStream {
    let Some(message) = model.message else {
        return TokenStream::new();
    };
    let concrete = model.signature.generics.params.is_empty()
        && !message
            .to_token_stream()
            .into_iter()
            .any(|token| matches!(&token, proc_macro2::TokenTree::Ident(word) if word == "impl"))
        && !matches!(message, Type::Reference(_));
    if !concrete || model.receiver.is_some() {
        return TokenStream::new();
    }
    let marker = marker(model, message);
    let handled = handled_impl(model, message);
    let conditions = &model.conditions;
    quote!(#marker #(#conditions)* const _: () = { #handled };)
}

/// The function's name as that of the marker type.
fn marker_ident(model: &Model<'_>) -> Ident {
    let mut ident = model.ident().clone();
    ident.set_span(generated_at(model.place()));
    ident
}

/// The type that stands for the handler.
///
/// It is public whatever the function is, as the compiler infers it wherever the message is sent;
/// and it has the message as a parameter, so that it is no more visible than a private message.
/// Having no values, it can be neither made nor mistaken for the function.
fn marker(model: &Model<'_>, message: &Type) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let marker = marker_ident(model);
    let conditions = &model.conditions;
    quote_spanned! {place=>
        #(#conditions)*
        #[doc(hidden)]
        pub struct #marker<Message = #message> {
            never: #private::Marker<Message>,
        }
    }
}

/// Shown at the function's name, where the compiler points when a command has two handlers.
fn handled_impl(model: &Model<'_>, message: &Type) -> TokenStream {
    let place = model.place();
    let private = private(place);
    let marker = marker_ident(model);
    let subject = Ident::new(SUBJECT, place);
    quote_spanned! {place=>
        type #subject = #message;
        #[diagnostic::do_not_recommend]
        impl #private::Handled<#marker> for #subject {}
    }
}

/// Asks the compiler once, at the message's own tokens, whether it is a message.
///
/// Everything else names its types through `Proven`. Where the answer is no, the constant in it is
/// an error that has been reported, and the compiler says nothing more of the types that depend on
/// it.
fn message_proof(message: &Type) -> TokenStream {
    let tokens = message.to_token_stream();
    let span = ends(&tokens).0;
    let private = private(span);
    let question = quote_spanned!(span=> #private::is_message::<#message>());
    proof(MESSAGE, span, &question)
}

/// The same question of the connection.
fn connection_proof(connection: &Type) -> TokenStream {
    let span = ends(&connection.to_token_stream()).0;
    let private = private(span);
    let question = quote_spanned!(span=> #private::ConnectionType::of::<#connection>());
    proof(CONNECTION, span, &question)
}

const SUBJECT: &str = "__Subject";
const MESSAGE: &str = "__Message";
const CONNECTION: &str = "__Connection";

fn proof(name: &str, place: Span, question: &TokenStream) -> TokenStream {
    let place = generated_at(place);
    let private = private(place);
    let name = Ident::new(name, place);
    quote_spanned! {place=>
        type #name = #private::Holds<{
            let _ = #question;
            true
        }>;
    }
}

/// `inner`, as far as the proof holds.
fn proven(span: Span, inner: &TokenStream, proof: &str) -> TokenStream {
    let private = private(span);
    let proof = Ident::new(proof, generated_at(span));
    quote_spanned!(span=> #private::Proven<#inner, #proof>)
}

fn handler_impl(model: &Model<'_>) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let marker = marker_ident(model);
    let subject = Ident::new(SUBJECT, place);
    let subject = proven(place, &subject.into_token_stream(), MESSAGE);
    let registration = registration(model, &subject);
    let call = call(model);
    let settle = settle(model, &subject);
    let output = model.output().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    quote_spanned! {place=>
        impl #private::Handler for #marker {
            type Message = #subject;
            type Output = #output;
            const REGISTRATION: #private::HandlerRegistration = #registration;
            #call
            #settle
        }
    }
}

fn registration(model: &Model<'_>, subject: &TokenStream) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let name = model.name();
    let queue = model.args.queue.as_ref().map_or_else(|| name.clone(), LitStr::value);
    let names_queue = model.args.queue.is_some();
    let durable = model.durable.is_some();
    let some = |value: TokenStream| quote_spanned!(place=> ::core::option::Option::Some(#value));
    let none = || quote_spanned!(place=> ::core::option::Option::None);
    let args = &model.args;
    let concurrency = args.concurrency.map_or_else(none, |it| some(quote!(#it)));
    let attempts = args.attempts.map_or_else(none, |it| some(quote!(#it)));
    let delays = args.delays.as_ref().map_or_else(none, |delays| {
        let delays = delays.iter().map(|delay| expand_duration(place, *delay));
        some(quote_spanned!(place=> &[#(#delays),*]))
    });
    let share = model.durable.as_ref().and_then(|durable| durable.share);
    let share = share.map_or_else(none, |it| some(quote!(#it)));
    let timeout = args.timeout.map_or_else(none, |it| some(expand_duration(place, it)));
    let connection = model.connection().map_or_else(none, |connection| {
        let connection = proven(place, &connection.to_token_stream(), CONNECTION);
        some(quote_spanned!(place=> #private::ConnectionType::of::<#connection>()))
    });
    let requirements = model.values().map(requirement);
    quote_spanned! {place=>
        #private::HandlerRegistration {
            name: #name,
            module: ::core::module_path!(),
            location: #private::SourceLocation { file: ::core::file!(), line: ::core::line!() },
            message_type: #private::message_type::<#subject>,
            kind: #private::kind_of::<#subject>(),
            queue: #queue,
            names_queue: #names_queue,
            concurrency: #concurrency,
            attempts: #attempts,
            delays: #delays,
            timeout: #timeout,
            durable: #durable,
            share: #share,
            connection: #connection,
            requirements: &[#(#requirements),*],
            run: #private::run::<Self>,
            answer: #private::answer::<Self>,
        }
    }
}

/// Spanned at the argument's type, as is its use in `call`: the compiler reports a mistake in it
/// once.
fn from_context(value: &Type, function: &str) -> TokenStream {
    let tokens = value.to_token_stream();
    let (first, last) = ends(&tokens);
    let private = private(first);
    let function = Ident::new(function, last);
    let proven = proven(first, &tokens, MESSAGE);
    let asked = quote_spanned!(first=> <#proven as #private::FromContext>);
    quote_spanned!(last=> #asked::#function)
}

fn requirement(value: &Type) -> TokenStream {
    from_context(value, "requirement")
}

/// The values are taken before the connection, which keeps the context borrowed; the function gets
/// them in its own order.
fn call(model: &Model<'_>) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let local = Span::mixed_site().located_at(model.place());
    let (message, cx) = (Ident::new("message", local), Ident::new("cx", local));
    let mut values = Vec::new();
    let mut connections = Vec::new();
    let mut passed = Vec::new();
    for (index, argument) in model.arguments.iter().enumerate() {
        let name = format_ident!("argument_{index}", span = local);
        match argument {
            Argument::Value(value) => {
                let taken = from_context(value, "from_context");
                values.push(quote_spanned!(place=> let #name = #taken(#cx)?;));
            }
            Argument::Connection(reference) => {
                let taken = connection(&reference.elem, &cx);
                connections.push(quote_spanned!(place=> let #name = #taken?;));
            }
            // Refused before; nothing is expanded for a handler with a mistake.
            Argument::Shared(_) => {}
        }
        passed.push(name);
    }
    let function = marker_ident(model);
    quote_spanned! {place=>
        fn call(
            #message: Self::Message,
            #cx: &mut #private::HandlerContext<'_>,
        ) -> ::core::result::Result<
            impl ::core::future::Future<Output = Self::Output> + ::core::marker::Send,
            #private::HandlerError,
        > {
            #(#values)*
            #(#connections)*
            ::core::result::Result::Ok(#function(#message #(, #passed)*))
        }
    }
}

/// What becomes of the function's return value.
fn settle(model: &Model<'_>, subject: &TokenStream) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let local = Span::mixed_site().located_at(model.place());
    let cx = Ident::new("cx", local);
    let settled = settled(model, subject, &cx);
    quote_spanned! {place=>
        fn settle(
            output: Self::Output,
            #cx: &mut #private::HandlerContext<'_>,
        ) -> ::core::result::Result<
            <Self::Message as #private::Message>::Reply,
            #private::HandlerError,
        > {
            #settled
        }
    }
}

fn connection(connection: &Type, cx: &Ident) -> TokenStream {
    let span = ends(&connection.to_token_stream()).0;
    let connection = proven(span, &connection.to_token_stream(), CONNECTION);
    quote_spanned!(span=> #cx.connection::<#connection>())
}

/// Spanned at the return type, where the compiler reports what cannot be returned or has no
/// handler; in a call it would report that at the argument.
fn settled(model: &Model<'_>, subject: &TokenStream, cx: &Ident) -> TokenStream {
    let (first, last) = match model.output() {
        Some(output) => ends(&output.to_token_stream()),
        None => (model.place(), model.place()),
    };
    let place = generated_at(first);
    let private = private(first);
    let open = quote_spanned!(first=> #private::settle::<#subject, _, _);
    let path = quote_spanned!(last=> #open>);
    quote_spanned! {place=>
        let settle = #path;
        settle(output, #cx)
    }
}

fn submission(model: &Model<'_>) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let marker = marker_ident(model);
    quote_spanned! {place=>
        #private::inventory::submit! {
            <#marker as #private::Handler>::REGISTRATION
        }
    }
}
