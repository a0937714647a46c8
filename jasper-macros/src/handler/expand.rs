//! What stands beside a handler's function. Nothing here can fail.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;

use super::model::{Argument, Model};
use crate::lifetimes::without_names;
use crate::paths::{ends, generated_at, private, submit, with_import};
use crate::signature::has_word;
use crate::value::expand_duration;

/// All that the macro emits beside the function.
///
/// It lies in a constant, so that none of its names is visible to the program or shadowed by it:
/// every name starts with two underscores. The constant has a name, as it may stand in an `impl`,
/// where a function without `self` is not to be told from a free one.
pub(super) fn expand(model: &Model<'_>) -> TokenStream {
    let Some(message) = model.message else {
        return TokenStream::new();
    };
    let subject = subject(model, message);
    let proof = proof(model, message);
    let handler = handler_impl(model);
    let submission = submission(model);
    beside(model, &quote!(#subject #proof #handler #submission))
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
    beside(model, &subject(model, message))
}

fn beside(model: &Model<'_>, items: &TokenStream) -> TokenStream {
    let place = generated_at(model.place());
    let conditions = &model.conditions;
    let deprecated = model.is_deprecated.then(|| quote_spanned!(place=> #[allow(deprecated)]));
    let items = with_import(model.args.root.as_ref(), place, items);
    let name = constant_ident(model);
    quote_spanned! {place=>
        #(#conditions)*
        #deprecated
        const #name: () = {
            #items
        };
    }
}

/// The name of the constant. The message is in it, so that a function that was copied, and kept its
/// name, is not reported twice.
fn constant_ident(model: &Model<'_>) -> Ident {
    let marker = marker_ident(model);
    let Some(Type::Path(message)) = model.message else {
        return marker;
    };
    match message.path.segments.last() {
        Some(last) => format_ident!("{}_of_{}", marker, last.ident, span = marker.span()),
        None => marker,
    }
}

/// The name of the type that stands for the handler. It shows the function in errors.
fn marker_ident(model: &Model<'_>) -> Ident {
    format_ident!("__handler_{}", model.name(), span = generated_at(model.place()))
}

/// The type that stands for the handler, and what it handles.
///
/// The type is public whatever the function is, as the compiler infers it wherever the message is
/// sent; and it has the message as a parameter, so that it is no more visible than a private
/// message. It has no values.
///
/// The impl is shown at the function's name, where the compiler points when a command has two
/// handlers.
fn subject(model: &Model<'_>, message: &Type) -> TokenStream {
    let shown = model.place();
    let place = generated_at(shown);
    let (private, private_shown) = (private(place), private(shown));
    let marker = marker_ident(model);
    let message = without_names(message.to_token_stream());
    let subject = Ident::new(SUBJECT, shown);
    let handled = quote_spanned! {shown=>
        impl #private_shown::HandledBy<#marker> for #subject {}
    };
    quote_spanned! {place=>
        type #subject = #message;
        pub struct #marker<__M = #subject> { never: #private::Marker<__M> }
        #handled
    }
}

const SUBJECT: &str = "__Subject";
const PROOF: &str = "__Proof";
/// The proof of the message alone: of the arguments is asked where it holds.
const FIRST: &str = "__First";

/// Asks the compiler once, at the user's own tokens, whether the message, the arguments and the
/// connection are what they have to be.
///
/// Everything else names its types through `Proven`. Where the answer is no, the constant in it is
/// an error that has been reported, and the compiler says nothing more of what depends on it.
fn proof(model: &Model<'_>, message: &Type) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let (proof, first) = (Ident::new(PROOF, place), Ident::new(FIRST, place));
    let of_message = question(&[], without_names(message.to_token_stream()), "is_message");
    let holds =
        |questions: &TokenStream| quote_spanned!(place=> #private::Holds<{ #questions true }>);
    let of_message = holds(&of_message);
    if model.arguments.is_empty() {
        return quote_spanned!(place=> type #proof = #of_message;);
    }
    let others = model.arguments.iter().filter_map(|argument| match argument {
        Argument::Value(value, conditions) => Some((conditions, *value, "is_argument")),
        Argument::Connection(reference, conditions) => {
            Some((conditions, &*reference.elem, "is_connection"))
        }
        // Refused before; nothing is expanded for a handler with a mistake.
        Argument::Shared(_) => None,
    });
    let others = others.map(|(conditions, asked, word)| {
        let tokens = without_names(asked.to_token_stream());
        let shown = ends(&tokens).0;
        question(conditions, proven(shown, &tokens, FIRST), word)
    });
    let of_others = holds(&others.collect());
    quote_spanned! {place=>
        type #first = #of_message;
        type #proof = #of_others;
    }
}

fn question(conditions: &[&syn::Attribute], asked: TokenStream, question: &str) -> TokenStream {
    let span = ends(&asked).0;
    let private = private(span);
    let question = Ident::new(question, span);
    quote_spanned!(span=> #(#conditions)* #private::#question::<#asked>();)
}

/// `inner`, as far as the proof holds.
fn proven(place: Span, inner: &TokenStream, proof: &str) -> TokenStream {
    let private = private(place);
    let proof = Ident::new(proof, generated_at(place));
    quote_spanned!(place=> #private::Proven<#inner, #proof>)
}

fn handler_impl(model: &Model<'_>) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let marker = marker_ident(model);
    let subject = proven(place, &Ident::new(SUBJECT, place).into_token_stream(), PROOF);
    let subject = quote_spanned!(place=> <#subject as #private::FirstArgument>::Itself);
    let registration = registration(model);
    let call = call(model);
    quote_spanned! {place=>
        impl #private::Handler for #marker {
            type Message = #subject;
            const REGISTRATION: #private::HandlerRegistration = #registration;
            #call
        }
    }
}

/// The function as a value, spanned at its name.
fn function(model: &Model<'_>) -> Ident {
    let mut function = model.ident().clone();
    function.set_span(generated_at(model.place()));
    function
}

fn registration(model: &Model<'_>) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let function = function(model);
    let name = model.name();
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
    let connections = model.arguments.iter().filter_map(|argument| match argument {
        Argument::Connection(reference, conditions) => {
            let connection = without_names(reference.elem.to_token_stream());
            let connection = proven(place, &connection, PROOF);
            Some(quote_spanned! {place=>
                #(#conditions)*
                let __it = __it.connection::<#connection>();
            })
        }
        _ => None,
    });
    let requirements = model.arguments.iter().filter_map(|argument| match argument {
        Argument::Value(value, conditions) => {
            let of = from_context(place, value);
            Some(quote_spanned!(place=> #(#conditions)* #of::requirement))
        }
        _ => None,
    });
    let registration = quote_spanned! {place=>
        #private::HandlerRegistration::new::<Self, _>(
            &#function,
            #name,
            ::core::module_path!(),
            &[#(#requirements),*],
        )
        #queue #concurrency #attempts #delays #timeout #durable
    };
    if model.connection().is_none() {
        return registration;
    }
    quote_spanned! {place=>
        {
            let __it = #registration;
            #(#connections)*
            __it
        }
    }
}

fn from_context(place: Span, value: &Type) -> TokenStream {
    let private = private(place);
    let proven = proven(place, &without_names(value.to_token_stream()), PROOF);
    quote_spanned!(place=> <#proven as #private::FromContext>)
}

/// The values are taken before the connection, which keeps the context borrowed; the function gets
/// them in its own order.
fn call(model: &Model<'_>) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let local = Span::mixed_site().located_at(model.place());
    let (message, cx) = (Ident::new("__message", local), Ident::new("__cx", local));
    let codec = Ident::new("__codec", local);
    let run_ident = Ident::new("__run", local);
    // Named as it is in the registration, so that the compiler says once where it finds no such
    // function: in an `impl`.
    let function_ident = Ident::new("__function", local);
    let mut values = Vec::new();
    let mut connections = Vec::new();
    let mut passed = Vec::new();
    for (index, argument) in model.arguments.iter().enumerate() {
        let name = format_ident!("__argument_{index}", span = local);
        match argument {
            Argument::Value(value, conditions) => {
                let taken = from_context(place, value);
                values.push(quote_spanned! {place=>
                    #(#conditions)*
                    let #name = #taken::from_context(#cx)?;
                });
                passed.push(quote_spanned!(place=> #(#conditions)* #name));
            }
            Argument::Connection(reference, conditions) => {
                let connection = without_names(reference.elem.to_token_stream());
                let connection = proven(place, &connection, PROOF);
                connections.push(quote_spanned! {place=>
                    #(#conditions)*
                    let #name = #cx.connection::<#connection>()?;
                });
                passed.push(quote_spanned!(place=> #(#conditions)* #name));
            }
            Argument::Shared(_) => {}
        }
    }
    let function = function(model);
    let run = run(model);
    quote_spanned! {place=>
        fn call<'__a>(
            #message: Self::Message,
            #cx: &'__a mut #private::HandlerContext<'_>,
        ) -> #private::Called<'__a, Self> {
            let #codec = #cx.codec();
            #(#values)*
            #(#connections)*
            let #run_ident = #run;
            let #function_ident = #function;
            #run_ident(#codec, #function_ident(#message #(, #passed)*))
        }
    }
}

/// Spanned at the return type, where the compiler reports what cannot be returned or has no
/// handler; in a call it would report that at the argument.
fn run(model: &Model<'_>) -> TokenStream {
    let (first, last) = match model.output() {
        Some(output) => ends(&output.to_token_stream()),
        None => (model.place(), model.place()),
    };
    let private = private(first);
    let proof = Ident::new(PROOF, generated_at(first));
    let open = quote_spanned!(first=> #private::run::<Self::Message, #proof, _, _);
    quote_spanned!(last=> #open>)
}

fn submission(model: &Model<'_>) -> TokenStream {
    let place = generated_at(model.place());
    let private = private(place);
    let submit = submit(model.args.root.as_ref(), place);
    let marker = marker_ident(model);
    quote_spanned! {place=>
        #submit(<#marker as #private::Handler>::REGISTRATION);
    }
}
