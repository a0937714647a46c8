//! Rust source as one flat list of tokens.
//!
//! Tokens, and not a syntax tree: a tree stops at every macro call, and much of an
//! async code base lives inside `select!`, `info!` and `quote!`.

use std::str::FromStr;

use proc_macro2::{Delimiter, LexError, Span, TokenStream, TokenTree};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// `::` is one token; every other punctuation mark stands alone.
    pub text: String,
    pub line: usize,
    pub is_word: bool,
    /// For an opening bracket the index of its closing one, else its own index.
    pub end: usize,
    /// Within `#[cfg(test)]` or `#[test]`.
    pub is_test: bool,
}

#[derive(Debug)]
pub struct Unreadable {
    pub line: usize,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }
}

pub fn lex(text: &str) -> Result<Vec<Token>, Unreadable> {
    let stream = TokenStream::from_str(text)
        .map_err(|error: LexError| Unreadable { line: error.span().start().line })?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    mark_tests(&mut tokens);
    Ok(tokens)
}

/// Whether the tokens from `at` on read like this.
pub fn reads(tokens: &[Token], at: usize, expected: &[&str]) -> bool {
    tokens
        .get(at..at + expected.len())
        .is_some_and(|found| found.iter().zip(expected).all(|(token, expected)| token.is(expected)))
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut after_colon = false;
    for tree in stream {
        let is_colon = matches!(&tree, TokenTree::Punct(mark) if mark.as_char() == ':');
        if is_colon && after_colon {
            let first = tokens.last_mut().expect("a colon stands before this one");
            first.text.push(':');
            after_colon = false;
            continue;
        }
        after_colon = is_colon && is_joint(&tree);
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                let opening = tokens.len();
                push(tokens, open, group.span_open(), false);
                flatten(group.stream(), tokens);
                tokens[opening].end = tokens.len();
                push(tokens, close, group.span_close(), false);
            }
            TokenTree::Ident(word) => push(tokens, &word.to_string(), word.span(), true),
            TokenTree::Punct(mark) => push(tokens, &mark.to_string(), mark.span(), false),
            TokenTree::Literal(value) => push(tokens, &value.to_string(), value.span(), false),
        }
    }
}

fn is_joint(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(mark) if mark.spacing() == proc_macro2::Spacing::Joint)
}

fn push(tokens: &mut Vec<Token>, text: &str, span: Span, is_word: bool) {
    let (line, end) = (span.start().line, tokens.len());
    tokens.push(Token { text: text.to_owned(), line, is_word, end, is_test: false });
}

fn mark_tests(tokens: &mut [Token]) {
    for at in 0..tokens.len() {
        if reads(tokens, at, &["#", "!", "["]) && is_test_attribute(tokens, at + 2) {
            tokens.iter_mut().for_each(|token| token.is_test = true);
        } else if reads(tokens, at, &["#", "["]) && is_test_attribute(tokens, at + 1) {
            let end = item_end(tokens, tokens[at + 1].end + 1);
            tokens[at..=end].iter_mut().for_each(|token| token.is_test = true);
        }
    }
}

/// `[cfg(test)]`, `[test]`, `[tokio::test]`. `not` and `any` leave a way to be built outside tests.
fn is_test_attribute(tokens: &[Token], open: usize) -> bool {
    let inside = &tokens[open + 1..tokens[open].end];
    let names = |word: &str| inside.iter().any(|token| token.is(word));
    if inside.first().is_some_and(|token| token.is("cfg")) {
        return names("test") && !names("not") && !names("any");
    }
    let path = inside.iter().take_while(|token| token.is_word || token.is("::"));
    path.last().is_some_and(|token| token.is("test"))
}

/// The last token of the item, statement or field that starts here.
fn item_end(tokens: &[Token], start: usize) -> usize {
    const WITH_BODY: [&str; 7] = ["fn", "impl", "mod", "struct", "enum", "trait", "macro_rules"];
    const WITH_SEMICOLON: [&str; 5] = ["use", "static", "const", "let", "type"];
    let (mut has_body, mut has_semicolon) = (false, false);
    let mut at = start;
    while at < tokens.len() {
        let token = &tokens[at];
        has_body |= WITH_BODY.contains(&token.text.as_str());
        has_semicolon |= WITH_SEMICOLON.contains(&token.text.as_str());
        match token.text.as_str() {
            ";" => return at,
            "," if !has_body && !has_semicolon => return at,
            "{" if has_body || !has_semicolon => return token.end,
            ")" | "]" | "}" => return at - 1,
            _ => at = token.end + 1,
        }
    }
    tokens.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_words(text: &str) -> Vec<String> {
        let tokens = lex(text).expect("the snippet lexes");
        tokens.into_iter().filter(|t| t.is_test && t.is_word).map(|t| t.text).collect()
    }

    #[test]
    fn two_colons_are_one_token_and_brackets_know_their_partner() {
        let tokens = lex("a::b(c: d)").expect("the snippet lexes");
        let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, ["a", "::", "b", "(", "c", ":", "d", ")"]);
        assert_eq!(tokens[3].end, 7);
    }

    #[test]
    fn a_test_attribute_marks_its_item_and_no_more() {
        let text = "#[cfg(test)] #[allow(x)] mod tests { fn a() {} } fn b() {}";
        assert!(test_words(text).contains(&"a".to_owned()));
        assert!(!test_words(text).contains(&"b".to_owned()));
        assert!(!test_words("#[cfg(test)] use a::{b}; fn c() {}").contains(&"c".to_owned()));
        assert!(test_words("#[tokio::test] async fn a() {}").contains(&"a".to_owned()));
        assert!(test_words("#![cfg(test)] fn a() {}").contains(&"a".to_owned()));
    }

    #[test]
    fn a_condition_that_also_holds_outside_tests_marks_nothing() {
        assert!(test_words("#[cfg(not(test))] fn a() {}").is_empty());
        assert!(test_words("#[cfg(any(test, feature = \"x\"))] fn a() {}").is_empty());
    }
}
