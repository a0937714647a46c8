//! The paths and spans of generated code.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

/// The hidden module of jasper that generated code names everything through.
pub(crate) fn private(span: Span) -> TokenStream {
    quote_spanned!(span=> ::jasper::__private)
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
