//! The values in attributes: text, whole numbers and durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::parse::ParseStream;
use syn::{LitInt, LitStr, Path, Token, bracketed};

/// Reads text.
pub(crate) fn text(key: &str, example: &str, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let wrong = |error: syn::Error| {
        let message = format!("`{key}` takes text, such as `{key} = \"{example}\"`");
        syn::Error::new(error.span(), message)
    };
    input.parse().map_err(wrong)
}

/// Reads a path, such as `company::messaging`, as it is or as text.
pub(crate) fn path(key: &str, input: ParseStream<'_>) -> syn::Result<Path> {
    let wrong = |span| {
        let message = format!("`{key}` takes a path, such as `{key} = company::messaging`");
        syn::Error::new(span, message)
    };
    if input.peek(LitStr) {
        let literal: LitStr = input.parse()?;
        return literal.parse_with(Path::parse_mod_style).map_err(|_| wrong(literal.span()));
    }
    input.call(Path::parse_mod_style).map_err(|error| wrong(error.span()))
}

/// Reads a whole number from 1.
pub(crate) fn count<N>(key: &str, input: ParseStream<'_>) -> syn::Result<N>
where
    N: FromStr<Err: fmt::Display> + PartialEq + Default,
{
    let wrong = |span| {
        let message = format!("`{key}` takes a whole number from 1, such as `{key} = 5`");
        syn::Error::new(span, message)
    };
    let literal: LitInt = input.parse().map_err(|error: syn::Error| wrong(error.span()))?;
    literal
        .base10_parse()
        .ok()
        .filter(|number| *number != N::default())
        .ok_or_else(|| wrong(literal.span()))
}

/// Reads a duration such as `"30s"`.
pub(crate) fn duration(key: &str, input: ParseStream<'_>) -> syn::Result<Duration> {
    let literal = text(key, "30s", input)?;
    duration_of(&literal)
}

/// Reads a list of durations such as `["10s", "1m"]`.
pub(crate) fn durations(key: &str, input: ParseStream<'_>) -> syn::Result<Vec<Duration>> {
    if !input.peek(syn::token::Bracket) {
        let message = format!("`{key}` takes a list, such as `{key} = [\"10s\", \"1m\"]`");
        return Err(input.error(message));
    }
    let content;
    bracketed!(content in input);
    let durations = listed_durations(key, &content);
    // What is left unread would be a mistake of its own.
    content.parse::<TokenStream>()?;
    durations
}

fn listed_durations(key: &str, content: ParseStream<'_>) -> syn::Result<Vec<Duration>> {
    let mut durations = Vec::new();
    while !content.is_empty() {
        let wrong = |error: syn::Error| {
            let message = format!("`{key}` takes texts, such as `{key} = [\"10s\", \"1m\"]`");
            syn::Error::new(error.span(), message)
        };
        let literal: LitStr = content.parse().map_err(wrong)?;
        durations.push(duration_of(&literal)?);
        if !content.is_empty() {
            content.parse::<Token![,]>().map_err(wrong)?;
        }
    }
    Ok(durations)
}

fn duration_of(literal: &LitStr) -> syn::Result<Duration> {
    let text = literal.value();
    parse_duration(&text).ok_or_else(|| {
        let message = format!(
            "`{text}` is not a duration: write a whole number and a unit, `ms`, `s`, `m`, `h` or \
             `d`, such as `30s`"
        );
        syn::Error::new(literal.span(), message)
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60 * 1_000,
        "h" => 60 * 60 * 1_000,
        "d" => 24 * 60 * 60 * 1_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// The duration as a constant expression.
pub(crate) fn expand_duration(span: proc_macro2::Span, duration: Duration) -> TokenStream {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    quote_spanned!(span=> ::core::time::Duration::new(#seconds, #nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        let cases = [
            ("250ms", Duration::from_millis(250)),
            ("30s", Duration::from_secs(30)),
            ("5m", Duration::from_secs(300)),
            ("2h", Duration::from_secs(7_200)),
            ("7d", Duration::from_secs(604_800)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "30", "s", "1.5s", "-1s", "30 s", "30S", "1w", "99999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
