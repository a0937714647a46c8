//! The lifetimes in a type of a signature, which mean nothing outside of it.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};

/// The type with `'static` in place of every lifetime, so that it can stand outside of the
/// signature. A type that is itself over lifetimes, such as `for<'a> fn(&'a str)`, stays as it is.
pub(crate) fn without_names(tokens: TokenStream) -> TokenStream {
    if !has_lifetime(tokens.clone()) || tokens.clone().into_iter().any(|it| is_word(&it, "for")) {
        return tokens;
    }
    let mut is_lifetime = false;
    let renamed = tokens.into_iter().map(|token| {
        let was = std::mem::take(&mut is_lifetime);
        match token {
            TokenTree::Punct(punct) => {
                is_lifetime = punct.as_char() == '\'';
                TokenTree::Punct(punct)
            }
            TokenTree::Ident(name) if was => Ident::new("static", name.span()).into(),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_names(group.stream()));
                inner.set_span(group.span());
                inner.into()
            }
            token => token,
        }
    });
    renamed.collect()
}

/// Few types have one, and those that have none stay the tokens that they are.
fn has_lifetime(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '\'',
        TokenTree::Group(group) => has_lifetime(group.stream()),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}
