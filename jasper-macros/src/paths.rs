//! The paths and spans of generated code.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::Path;

/// The hidden module of jasper that generated code names everything through, as it is called where
/// that code imports it: see [`with_import`].
pub(crate) fn private(span: Span) -> Ident {
    Ident::new("__jasper", span)
}

/// `items`, for which the hidden module is imported. The path is that of `crate = …`, where the
/// attribute gives one; if that is wrong, one error says so: the macro is not found, and nothing
/// more is said of what is in it.
pub(crate) fn with_import(root: Option<&Path>, span: Span, items: &TokenStream) -> TokenStream {
    match root {
        Some(root) => quote_spanned! {span=>
            #root::__private::items! {
                use #root::__private as __jasper;
                #items
            }
        },
        None => quote_spanned! {span=>
            use ::jasper::__private as __jasper;
            #items
        },
    }
}

/// The macro that registers. By its whole path: where another macro of the item cannot be resolved,
/// one that is named through an import is reported too.
pub(crate) fn submit(root: Option<&Path>, span: Span) -> TokenStream {
    match root {
        Some(root) => quote_spanned!(span=> #root::__private::inventory::submit!),
        None => quote_spanned!(span=> ::jasper::__private::inventory::submit!),
    }
}

/// Stands where `place` stands, but belongs to the macro: lints of the user's crate do not apply to
/// it.
pub(crate) fn generated_at(place: Span) -> Span {
    Span::call_site().located_at(place)
}

/// The first and the last span of some tokens. The compiler joins the spans of an expression's two
/// ends, which a macro cannot do for itself.
pub(crate) fn ends(tokens: &TokenStream) -> (Span, Span) {
    let mut spans = tokens.clone().into_iter().map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (first, spans.last().unwrap_or(first))
}
