//! Writes tokens, each with a place in the source.

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Tokens. They belong to the macro, so that lints of the user's crate do not apply to them, unless
/// they are shown as the user's own.
pub(super) struct Writer {
    tokens: Vec<TokenTree>,
    span: Span,
}

impl Writer {
    /// What is written stands at `place`.
    pub(super) fn at(place: Span) -> Self {
        Self { tokens: Vec::new(), span: Span::call_site().located_at(place) }
    }

    /// Another one at the same place.
    pub(super) const fn another(&self) -> Self {
        Self { tokens: Vec::new(), span: self.span }
    }

    /// What is written from here on stands at `place`, as if it were the user's own.
    pub(super) const fn show_at(&mut self, place: Span) {
        self.span = place;
    }

    /// What is written from here on stands at `place`.
    pub(super) fn move_to(&mut self, place: Span) {
        self.span = Span::call_site().located_at(place);
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.tokens.extend(other.tokens);
    }

    pub(super) fn ident(&mut self, word: &str) {
        self.tokens.push(Ident::new(word, self.span).into());
    }

    pub(super) fn text(&mut self, text: &str) {
        let mut text = Literal::string(text);
        text.set_span(self.span);
        self.tokens.push(text.into());
    }

    pub(super) fn number(&mut self, number: i32) {
        let mut number = Literal::i32_unsuffixed(number);
        number.set_span(self.span);
        self.tokens.push(number.into());
    }

    pub(super) fn punct(&mut self, character: char) {
        self.push(Punct::new(character, Spacing::Alone));
    }

    /// `::a::b`
    pub(super) fn path(&mut self, words: &[&str]) {
        for word in words {
            self.colons();
            self.ident(word);
        }
    }

    /// `::<A, B>`
    pub(super) fn types(&mut self, words: &[&str]) {
        self.colons();
        self.punct('<');
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                self.punct(',');
            }
            self.ident(word);
        }
        self.punct('>');
    }

    /// `::`
    pub(super) fn colons(&mut self) {
        self.push(Punct::new(':', Spacing::Joint));
        self.push(Punct::new(':', Spacing::Alone));
    }

    /// `.method(arguments)`
    pub(super) fn method(&mut self, method: &str, arguments: TokenStream) {
        self.punct('.');
        self.ident(method);
        self.group(Delimiter::Parenthesis, arguments);
    }

    pub(super) fn group(&mut self, delimiter: Delimiter, tokens: TokenStream) {
        let mut group = Group::new(delimiter, tokens);
        group.set_span(self.span);
        self.tokens.push(group.into());
    }

    /// For a group.
    pub(super) fn nothing() -> TokenStream {
        TokenStream::new()
    }

    pub(super) fn finish(self) -> TokenStream {
        self.tokens.into_iter().collect()
    }

    pub(super) fn into_tokens(self) -> Vec<TokenTree> {
        self.tokens
    }

    fn push(&mut self, mut punct: Punct) {
        punct.set_span(self.span);
        self.tokens.push(punct.into());
    }
}
