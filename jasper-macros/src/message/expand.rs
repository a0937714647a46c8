//! The impls of a message type. Nothing here can fail.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Generics;

use super::flavor::Flavor;
use super::model::Model;
use crate::paths::{ends, generated_at, private, submit, with_import};
use crate::value::expand_duration;

/// All that the derive emits.
pub(super) fn expand(model: &Model) -> TokenStream {
    let impls = impls(model);
    let registration = registration(model);
    beside(model, &quote!(#impls #registration))
}

/// The impls without the registration: what uses the type compiles, so that a mistake in its
/// attribute is the only error.
pub(super) fn stand_in(model: &Model) -> TokenStream {
    beside(model, &impls(model))
}

/// What is left of a type that cannot be a message. The mistakes stand in a type, so that the
/// compiler takes it for an error and reports nothing more for handlers that take or return it.
pub(super) fn refused(model: &Model, generics: &Generics, mistakes: &[TokenStream]) -> TokenStream {
    let place = generated_at(model.ident.span());
    let private = private(place);
    let ident = &model.ident;
    let (impl_generics, type_generics, clause) = generics.split_for_impl();
    let conditions = clause.iter().flat_map(|clause| &clause.predicates);
    let items = quote_spanned! {place=>
        type __Mistakes = #private::Proven<(), #private::Holds<{ #(#mistakes)* true }>>;
        impl #impl_generics #private::Message for #ident #type_generics
        where
            Self: ::core::marker::Send + 'static,
            #(#conditions,)*
        {
            type Kind = __Mistakes;
            type Reply = __Mistakes;
            const TYPE: #private::MessageType = loop {};
            const ENCODING: #private::Encoding<Self> = loop {};
        }
        impl #impl_generics #private::Cascade<()> for #ident #type_generics #clause {
            type Reply = __Mistakes;
            fn collect(
                self,
                _: &mut #private::Cascades<'_>,
            ) -> ::core::result::Result<__Mistakes, #private::HandlerError> {
                loop {}
            }
        }
    };
    beside(model, &items)
}

fn beside(model: &Model, items: &TokenStream) -> TokenStream {
    let place = generated_at(model.ident.span());
    let items = with_import(model.root.as_ref(), place, items);
    quote_spanned! {place=>
        const _: () = {
            #items
        };
    }
}

fn impls(model: &Model) -> TokenStream {
    let message = message_impl(model);
    let cascade = cascade_impl(model);
    quote!(#message #cascade)
}

fn kind(model: &Model) -> &'static str {
    match model.flavor {
        Flavor::Event => "Event",
        Flavor::Command if model.to.is_some() => "Routed",
        Flavor::Command => "Command",
    }
}

/// `kind::Command`, `kind::Event` or `kind::Routed`.
fn kind_type(model: &Model, span: Span) -> TokenStream {
    let private = private(span);
    let kind = Ident::new(kind(model), span);
    quote_spanned!(span=> #private::kind::#kind)
}

fn optional(span: Span, value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote_spanned!(span=> ::core::option::Option::Some(#value)),
        None => quote_spanned!(span=> ::core::option::Option::None),
    }
}

/// Shown at the type's name, where the compiler reports a type that `serde` cannot encode.
fn message_impl(model: &Model) -> TokenStream {
    let place = generated_at(model.ident.span());
    let private = private(place);
    let ident = &model.ident;
    let kind = kind_type(model, place);
    let (name, version) = (&model.name, model.version);
    let (reply, encodable) = reply(model, place);
    let to = optional(place, model.to.as_ref().map(ToTokens::to_token_stream));
    let within = model.deliver_within.map(|it| expand_duration(place, it));
    let within = optional(place, within);
    quote_spanned! {place=>
        #[automatically_derived]
        impl #private::Message for #ident {
            type Kind = #kind;
            type Reply = #reply;
            const TYPE: #private::MessageType = #private::MessageType::new(#name, #version);
            const TO: ::core::option::Option<&'static str> = #to;
            const DELIVER_WITHIN: ::core::option::Option<::core::time::Duration> = #within;
            const ENCODING: #private::Encoding<Self> = #private::encoding::<Self>();
            #encodable
        }
    }
}

/// The type of the reply, and what gives it to a codec where it travels.
///
/// Whether it can be encoded and decoded is asked once, at its own tokens, the one only if the
/// other holds. Where the answer is no, the type itself is an error that has been reported, and the
/// compiler says nothing more about what depends on it.
fn reply(model: &Model, place: Span) -> (TokenStream, TokenStream) {
    let reply = model.reply.to_token_stream();
    if model.to.is_none() {
        return (reply, TokenStream::new());
    }
    let encodable = proven(&reply, "is_encodable_reply");
    let decodable = proven(&encodable, "is_decodable_reply");
    let private = private(place);
    let encodable_reply = quote_spanned! {place=>
        fn encodable_reply(
            reply: &Self::Reply,
        ) -> ::core::option::Option<&dyn #private::Encodable> {
            ::core::option::Option::Some(reply)
        }
    };
    (decodable, encodable_reply)
}

/// `inner`, as far as it keeps what `question` asks of it. Itself the user's by its span, as the
/// next question is asked at it.
fn proven(inner: &TokenStream, question: &str) -> TokenStream {
    let shown = ends(inner).0;
    let place = generated_at(shown);
    let (private, private_shown) = (private(place), private(shown));
    let question = Ident::new(question, place);
    let proof = quote_spanned! {place=>
        #private::Holds<{
            #private::#question::<#inner>();
            true
        }>
    };
    quote_spanned!(shown=> #private_shown::Proven<#inner, #proof>)
}

/// The leaf at which the compiler arrives when a handler returns the type, however deep within
/// other types.
///
/// The block keeps a type that derives both `Command` and `Event`, or one of them twice, at one
/// error: its impls of `Message` are reported, the kind is an error then, and nothing more is said
/// of the two impls of this trait.
fn cascade_impl(model: &Model) -> TokenStream {
    let shown = model.ident.span();
    let place = generated_at(shown);
    let (private, private_shown) = (private(place), private(shown));
    let ident = &model.ident;
    let kind = kind_type(model, shown);
    let proof = quote_spanned! {place=>
        #private::Holds<{
            #private::is_one_message::<#ident>();
            true
        }>
    };
    let proven = quote_spanned!(shown=> #private_shown::Proven<#kind, #proof>);
    let body = quote_spanned! {place=>
        {
            type Reply = ();

            fn collect(
                self,
                cascades: &mut #private::Cascades<'_>,
            ) -> ::core::result::Result<(), #private::HandlerError> {
                #private::push(self, cascades)
            }
        }
    };
    quote_spanned! {shown=>
        impl<__H> #private_shown::Cascade<#private_shown::Leaf<#proven, __H>> for #ident
        where
            #kind: #private_shown::KindReaches<#ident, __H>,
        #body
    }
}

fn registration(model: &Model) -> TokenStream {
    let place = generated_at(model.ident.span());
    let private = private(place);
    let ident = &model.ident;
    let kind = Ident::new(kind(model), place);
    let (name, version) = (&model.name, model.version);
    let to = optional(place, model.to.as_ref().map(ToTokens::to_token_stream));
    let submit = submit(model.root.as_ref(), place);
    let handled = model.handled.then(|| quote_spanned!(place=> .handled()));
    quote_spanned! {place=>
        #submit {
            #private::MessageRegistration::new(
                #private::MessageType::new(#name, #version),
                #private::MessageKind::#kind,
                #to,
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#ident)),
            ) #handled
        }
    }
}
