//! Reads the tokens of a plain function. What it does not know, it does not read.

use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenTree};

/// A place in some tokens.
pub(super) struct Reader<'t> {
    tokens: &'t [TokenTree],
    position: usize,
}

/// What was read of a path so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing: a word comes, or `::`.
    Start,
    /// `::`, after which a word comes.
    Colons,
    Word,
    /// The `>` of its arguments.
    Closed,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(tokens: &'t [TokenTree]) -> Self {
        Self { tokens, position: 0 }
    }

    pub(super) const fn position(&self) -> usize {
        self.position
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.position >= self.tokens.len()
    }

    /// What is left.
    pub(super) fn rest(&mut self) -> &'t [TokenTree] {
        let rest = self.tokens.get(self.position..).unwrap_or_default();
        self.position = self.tokens.len();
        rest
    }

    fn next(&mut self) -> Option<&'t TokenTree> {
        let next = self.tokens.get(self.position);
        self.position += 1;
        next
    }

    fn peek(&self) -> Option<&'t TokenTree> {
        self.tokens.get(self.position)
    }

    pub(super) fn ident(&mut self) -> Option<&'t Ident> {
        match self.next() {
            Some(TokenTree::Ident(ident)) => Some(ident),
            _ => None,
        }
    }

    pub(super) fn group(&mut self, delimiter: Delimiter) -> Option<&'t Group> {
        match self.next() {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
            _ => None,
        }
    }

    /// Whether this word stands here, which is passed then.
    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        let is_it = |token: &TokenTree| match token {
            TokenTree::Ident(ident) => ident == word,
            _ => false,
        };
        self.skip(is_it)
    }

    pub(super) fn skip_punct(&mut self, character: char) -> bool {
        let is_it = |token: &TokenTree| match token {
            TokenTree::Punct(punct) => punct.as_char() == character,
            _ => false,
        };
        self.skip(is_it)
    }

    pub(super) fn skip_group(&mut self, delimiter: Delimiter) -> bool {
        let is_it = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == delimiter,
            _ => false,
        };
        self.skip(is_it)
    }

    fn skip(&mut self, is_it: impl Fn(&TokenTree) -> bool) -> bool {
        let is_here = self.peek().is_some_and(is_it);
        self.position += usize::from(is_here);
        is_here
    }

    /// Passes `name:` or `mut name:`.
    pub(super) fn binding(&mut self) -> Option<()> {
        self.skip_word("mut");
        if self.ident()? == "self" {
            return None;
        }
        match self.next()? {
            TokenTree::Punct(colon) => {
                (colon.as_char() == ':' && colon.spacing() == Spacing::Alone).then_some(())
            }
            _ => None,
        }
    }

    /// A path without arguments, up to the next comma, which is passed.
    pub(super) fn path(&mut self) -> Option<&'t [TokenTree]> {
        let path = self.path_with_arguments()?;
        let is_opening = |token: &TokenTree| match token {
            TokenTree::Punct(punct) => punct.as_char() == '<',
            _ => false,
        };
        (!path.iter().any(is_opening)).then_some(path)
    }

    /// A path, whose arguments are such paths, up to the next comma, which is passed.
    pub(super) fn path_with_arguments(&mut self) -> Option<&'t [TokenTree]> {
        let start = self.position;
        let mut before = Before::Start;
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            let is_complete = matches!(before, Before::Word | Before::Closed);
            before = match token {
                TokenTree::Ident(word) if !is_complete => {
                    let word = word.to_string();
                    match word.as_str() {
                        "dyn" if depth > 0 && before == Before::Start => Before::Start,
                        word if KEYWORDS.contains(&word) || word.starts_with("r#") => return None,
                        _ => Before::Word,
                    }
                }
                TokenTree::Punct(punct) => match punct.as_char() {
                    ':' if before != Before::Colons && self.skip_punct(':') => Before::Colons,
                    '<' if before == Before::Word => {
                        depth += 1;
                        Before::Start
                    }
                    '>' if is_complete && depth > 0 => {
                        depth -= 1;
                        Before::Closed
                    }
                    ',' if is_complete && depth > 0 => Before::Start,
                    ',' if is_complete => return self.tokens.get(start..self.position - 1),
                    _ => return None,
                },
                _ => return None,
            };
        }
        let is_complete = matches!(before, Before::Word | Before::Closed) && depth == 0;
        self.tokens.get(start..).filter(|_| is_complete)
    }
}

/// Words that are no segments of a path, and `Self`, which a handler has not.
const KEYWORDS: [&str; 13] = [
    "Self", "as", "const", "dyn", "extern", "fn", "for", "impl", "mut", "ref", "self", "unsafe",
    "_",
];
