//! `#[handler]` and `#[durable]`.
//!
//! The two stand beside each other in either order. Whichever the compiler expands first finds the
//! other among the function's attributes, takes it away, and expands both.

mod args;
mod expand;
mod model;
mod validate;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Meta;

use self::args::{Args, DurableArgs};
use self::model::Model;
use crate::diagnostics::Diagnostics;
use crate::signature::Function;

/// Expands `#[handler]`, and a `#[durable]` after it.
pub(crate) fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => return not_a_function("#[handler]", &item),
    };
    let mut diagnostics = Diagnostics::default();
    let args = Args::read(args, &mut diagnostics);
    let durable = function.take_attribute("durable").map(|durable| {
        let tokens = attribute_args(&durable, &mut diagnostics);
        DurableArgs::read(tokens, &mut diagnostics)
    });
    expand(&function, args, durable, diagnostics)
}

/// Expands `#[durable]`, and the `#[handler]` after it.
pub(crate) fn durable(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => return not_a_function("#[durable]", &item),
    };
    let mut diagnostics = Diagnostics::default();
    let durable = DurableArgs::read(args, &mut diagnostics);
    let Some(handler) = function.take_attribute("handler") else {
        diagnostics.at_span(
            Span::call_site(),
            "`#[durable]` makes a handler durable, and this function is not one: add `#[handler]`",
        );
        let errors = diagnostics.finish();
        return quote!(#errors #function);
    };
    let args = Args::read(attribute_args(&handler, &mut diagnostics), &mut diagnostics);
    expand(&function, args, Some(durable), diagnostics)
}

fn expand(
    function: &Function,
    args: Args,
    durable: Option<DurableArgs>,
    mut diagnostics: Diagnostics,
) -> TokenStream {
    let model = Model::new(function, args, durable);
    validate::validate(&model, &mut diagnostics);
    let beside = match diagnostics.finish() {
        None => expand::expand(&model),
        Some(errors) => {
            let stand_in = expand::stand_in(&model);
            quote!(#errors #stand_in)
        }
    };
    quote!(#function #beside)
}

fn not_a_function(attribute: &str, item: &TokenStream) -> TokenStream {
    let message = format!("`{attribute}` goes on a free `async fn`");
    let error = syn::Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}

/// What stands between the parentheses of an attribute that was taken away.
fn attribute_args(attribute: &syn::Attribute, diagnostics: &mut Diagnostics) -> TokenStream {
    match &attribute.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            diagnostics.at(pair.to_token_stream(), "write `key = value` in parentheses");
            TokenStream::new()
        }
    }
}
