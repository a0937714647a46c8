//! The words of an expression.

/// One word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a key word as it was written.
    Word(String),
    /// A name in `[…]` or `"…"`, which is no key word.
    Quoted(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

/// The longer ones stand before those with which they begin.
const SYMBOLS: [&str; 12] = ["<>", "!=", "<=", ">=", "<", ">", "=", "(", ")", ",", ".", "-"];

/// Cuts an expression into words.
///
/// # Errors
/// Something in it is no word of an expression: it is named.
pub(super) fn tokens(expression: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), expression.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' => {
                let (text, after) = enclosed(rest, '\'')?;
                (Token::Text(text), after)
            }
            '"' => {
                let (name, after) = enclosed(rest, '"')?;
                (Token::Quoted(name), after)
            }
            '[' => {
                let (name, after) = enclosed(rest, ']')?;
                (Token::Quoted(name), after)
            }
            '0'..='9' => {
                let is_part = |it: char| it.is_ascii_digit() || it == '.';
                let (number, after) = split(rest, is_part);
                let value = number.parse().map_err(|_error| format!("the number `{number}`"))?;
                (Token::Number(value), after)
            }
            _ if is_letter(first) => {
                let (word, after) = split(rest, |it| is_letter(it) || it.is_ascii_digit());
                (Token::Word(word.to_owned()), after)
            }
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                let symbol = symbol.ok_or_else(|| format!("`{first}`"))?;
                (Token::Symbol(symbol), &rest[symbol.len()..])
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn is_letter(it: char) -> bool {
    it.is_alphabetic() || it == '_' || it == '$'
}

fn split(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|it| !is_part(it)).unwrap_or(text.len()))
}

/// What stands between the first character and this one, which stands twice where it is meant.
fn enclosed(text: &str, end: char) -> Result<(String, &str), String> {
    let (mut inside, mut rest) = (String::new(), text.get(1..).unwrap_or_default());
    loop {
        let (part, after) = rest.split_once(end).ok_or_else(|| format!("no end of {text}"))?;
        inside.push_str(part);
        match after.strip_prefix(end) {
            Some(more) => {
                inside.push(end);
                rest = more;
            }
            None => return Ok((inside, after)),
        }
    }
}
