//! The `key = value` lists of the attributes: unknown keys, repeated keys and wrong values are all
//! reported.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::Token;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};

use crate::diagnostics::Diagnostics;

/// One attribute as its users know it.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// As it is written, such as `#[handler]`.
    pub(crate) name: &'static str,
    /// The words that it takes without a value.
    pub(crate) words: &'static [&'static str],
    /// The keys that it takes.
    pub(crate) keys: &'static [&'static str],
    /// Words that are often looked for here, and what to write instead.
    pub(crate) instead: &'static [(&'static str, &'static str)],
}

impl Attribute {
    /// Reads `tokens`, giving the value after each known key to `value`.
    pub(crate) fn read(
        &self,
        tokens: TokenStream,
        seen: &mut Vec<Ident>,
        diagnostics: &mut Diagnostics,
        mut value: impl FnMut(&str, ParseStream<'_>) -> syn::Result<()>,
    ) {
        let list = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Err(error) = self.entry(input, seen, &mut value) {
                    diagnostics.push(error);
                    skip_entry(input);
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        let outcome = list.parse2(tokens);
        if let Err(error) = outcome {
            diagnostics.push(error);
        }
    }

    fn entry(
        &self,
        input: ParseStream<'_>,
        seen: &mut Vec<Ident>,
        value: &mut impl FnMut(&str, ParseStream<'_>) -> syn::Result<()>,
    ) -> syn::Result<()> {
        let Ok(key) = input.call(Ident::parse_any) else {
            return Err(self.error(input.span(), "expected `key = value`"));
        };
        let name = key.to_string();
        if let Some((_, instead)) = self.instead.iter().find(|(word, _)| *word == name) {
            let message = format!("`{}` does not take `{name}`: {instead}", self.name);
            return Err(syn::Error::new(key.span(), message));
        }
        let is_word = self.words.contains(&name.as_str());
        if !is_word && !self.keys.contains(&name.as_str()) {
            return Err(self.error(key.span(), &format!("unknown key `{name}`")));
        }
        if seen.contains(&key) {
            let message = format!("`{name}` is given twice: keep one of them");
            return Err(syn::Error::new(key.span(), message));
        }
        if is_word && input.peek(Token![=]) {
            let message = format!("`{name}` takes no value: write `{}`", self.shown(&name));
            return Err(syn::Error::new(key.span(), message));
        }
        if !is_word && input.parse::<Token![=]>().is_err() {
            let message = format!("`{name}` needs a value: write `{name} = …`");
            return Err(syn::Error::new(key.span(), message));
        }
        seen.push(key);
        value(&name, input)
    }

    /// `#[event(handled)]` for `handled`.
    fn shown(&self, entry: &str) -> String {
        format!("{}({entry})]", self.name.trim_end_matches(']'))
    }

    fn error(&self, span: Span, what: &str) -> syn::Error {
        let all: Vec<_> = self.keys.iter().chain(self.words).copied().collect();
        syn::Error::new(span, format!("{what}; `{}` takes {}", self.name, listed(&all)))
    }
}

#[cfg(test)]
impl Attribute {
    /// Compares what the documentation of the macro with this function lists with what is parsed.
    pub(crate) fn assert_documented(&self, function: &str) {
        let source = include_str!("lib.rs");
        let (before, _) = source.split_once(&format!("\npub fn {function}(")).unwrap();
        let (_, documentation) = before.rsplit_once("\n\n").unwrap();
        let entries = documentation.split("\n/// * `").skip(1);
        let mut documented = Vec::new();
        for entry in entries {
            let (key, what) = entry.split_once("`: ").unwrap();
            let what = what.replace("\n///   ", " ");
            assert!(what.contains("Default: "), "`{key}` of {} says no default", self.name);
            documented.push(key);
        }
        let mut parsed: Vec<_> = self.keys.iter().chain(self.words).copied().collect();
        documented.sort_unstable();
        parsed.sort_unstable();
        assert_eq!(documented, parsed, "the documentation of {} and its parser", self.name);
    }
}

/// `a`, `b` and `c`, each in backticks.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Goes on after a mistake, so that the entries after it are checked too.
fn skip_entry(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        // A token tree can be taken from any input that is not empty.
        if input.parse::<TokenTree>().is_err() {
            break;
        }
    }
}
