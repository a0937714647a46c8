//! Texts in the source of the library.

use super::super::repository::SourceFile;
use super::super::tokens::{Token, reads};

/// The value of a token that is a text, with its line breaks taken out.
fn value(token: &Token) -> Option<String> {
    let inside = token.text.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut rest = inside.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('\\', Some('\n')) => while rest.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(escaped)) => {
                text.push(escaped);
                rest.next();
            }
            _ => text.push(c),
        }
    }
    Some(text)
}

/// A text with `…` for each `{…}` in it.
fn with_gaps(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once('}') {
        Some((_, rest)) => text + "…" + rest,
        None => text + part,
    })
}

/// The message of each call of these logging macros, with its line.
pub fn logged<'f>(
    file: &'f SourceFile,
    level: &'f str,
) -> impl Iterator<Item = (usize, String)> + 'f {
    let calls = (0..file.tokens.len())
        .filter(move |&at| reads(&file.tokens, at, &[level, "!", "("]) && !file.tokens[at].is_test);
    calls.filter_map(|at| {
        let open = at + 2;
        // What stands in brackets of its own is a part of a field.
        let outermost = std::iter::successors(Some(open + 1), |&at| Some(file.tokens[at].end + 1));
        let mut inside = outermost.take_while(|&at| at < file.tokens[open].end);
        // A field may be a text too: `what = "…"`.
        let message = inside.find_map(|at| {
            let is_field = file.tokens[at - 1].is("=");
            value(&file.tokens[at]).filter(|_| !is_field)
        })?;
        Some((file.tokens[at].line, with_gaps(&message)))
    })
}

/// The texts of `#[diagnostic::on_unimplemented(message = "…")]`, with `<T>` for each `{T}`.
pub fn unimplemented(file: &SourceFile) -> impl Iterator<Item = (usize, String)> + '_ {
    let messages = (0..file.tokens.len())
        .filter(|&at| reads(&file.tokens, at, &["on_unimplemented", "(", "message", "="]));
    messages.filter_map(|at| {
        let text = value(file.tokens.get(at + 4)?)?;
        Some((file.tokens[at].line, text.replace('{', "<").replace('}', ">")))
    })
}

/// The variants of an enum of this name, if the file has it.
pub fn variants<'f>(file: &'f SourceFile, name: &str) -> Vec<(usize, &'f str)> {
    let tokens = &file.tokens;
    let Some(start) = (0..tokens.len()).find(|&at| reads(tokens, at, &["pub", "enum", name, "{"]))
    else {
        return Vec::new();
    };
    let (mut at, end) = (start + 4, tokens[start + 3].end);
    let mut found = Vec::new();
    while at < end {
        let token = &tokens[at];
        if token.is("#") {
            at = tokens[at + 1].end + 1;
        } else if token.is_word {
            found.push((token.line, token.text.as_str()));
            while at < end && !tokens[at].is(",") {
                at = tokens[at].end + 1;
            }
        } else {
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::repository::Repository;
    use super::*;

    fn read<T>(text: &str, look: impl Fn(&SourceFile) -> T) -> T {
        let text = format!("//! A file.\n{text}");
        look(&Repository::of(&[("jasper/src/a.rs", &text)]).files[0])
    }

    #[test]
    fn the_message_of_a_log_line_is_its_text_and_not_a_field() {
        let text =
            "fn f() { warn!(a = \"field\", b = g!(\"{}\", 1), \"it \\\n   is {c:?} here\", d); }";
        let logged = read(text, |file| logged(file, "warn").collect::<Vec<_>>());
        assert_eq!(logged, [(2, "it is … here".to_owned())]);
    }

    #[test]
    fn variants_are_the_words_of_an_enum_and_not_what_is_in_them() {
        let text = "pub enum E { #[error(\"{0}, x\")] A(B, C), /// D.\n D { e: F }, G }";
        let variants = read(text, |file| {
            variants(file, "E").into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(variants, ["A", "D", "G"]);
    }

    #[test]
    fn the_words_of_a_bound_are_found() {
        let text = "#[diagnostic::on_unimplemented(message = \"no `{Self}`\", label = \"x\")]\n\
                    trait T {}";
        let words = read(text, |file| unimplemented(file).collect::<Vec<_>>());
        assert_eq!(words, [(2, "no `<Self>`".to_owned())]);
    }
}
