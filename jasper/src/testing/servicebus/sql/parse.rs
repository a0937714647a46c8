//! Reading an expression.

use super::condition::{Comparison, Condition, Operand, Property, Value};
use super::tokens::{Token, tokens};

/// Deeper expressions are refused.
const DEEPEST: usize = 64;
const COMPARISONS: [(&str, Comparison); 7] = [
    ("=", Comparison::Equal),
    ("<>", Comparison::Different),
    ("!=", Comparison::Different),
    ("<", Comparison::Less),
    ("<=", Comparison::AtMost),
    (">", Comparison::Greater),
    (">=", Comparison::AtLeast),
];
/// What the properties of the system are called; the service has some more.
const SYSTEM: [&str; 8] = [
    "correlationid",
    "messageid",
    "to",
    "replyto",
    "label",
    "sessionid",
    "replytosessionid",
    "contenttype",
];

/// Reads an expression.
///
/// # Errors
/// What in it is not supported.
pub(super) fn parse(expression: &str) -> Result<Condition, String> {
    let tokens = tokens(expression)?;
    let mut parser = Parser { tokens: &tokens, depth: 0 };
    let condition = parser.any()?;
    match parser.tokens.first() {
        None => Ok(condition),
        Some(token) => Err(shown(token)),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

fn shown(token: &Token) -> String {
    match token {
        Token::Word(text) | Token::Quoted(text) => format!("`{text}`"),
        Token::Text(text) => format!("'{text}'"),
        Token::Number(number) => format!("{number}"),
        Token::Symbol(symbol) => format!("`{symbol}`"),
    }
}

impl Parser<'_> {
    fn next(&mut self) -> Result<&Token, String> {
        let (first, rest) = self.tokens.split_first().ok_or("an expression that ends too soon")?;
        self.tokens = rest;
        Ok(first)
    }

    /// Takes this key word if it is the next one.
    fn takes(&mut self, word: &str) -> bool {
        let is_next =
            matches!(self.tokens.first(), Some(Token::Word(it)) if it.eq_ignore_ascii_case(word));
        self.skip(is_next)
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        let is_next = matches!(self.tokens.first(), Some(Token::Symbol(it)) if *it == symbol);
        self.skip(is_next)
    }

    fn skip(&mut self, is_next: bool) -> bool {
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.takes_symbol(symbol) || self.takes(symbol) {
            return Ok(());
        }
        Err(self.tokens.first().map_or("its end".to_owned(), shown))
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.all()?];
        while self.takes("OR") {
            all.push(self.all()?);
        }
        Ok(Condition::Any(all))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.one()?];
        while self.takes("AND") {
            all.push(self.one()?);
        }
        Ok(Condition::All(all))
    }

    fn one(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("so deep an expression".to_owned());
        }
        let condition = if self.takes("NOT") {
            Condition::Not(Box::new(self.one()?))
        } else if self.takes_symbol("(") {
            let inside = self.any()?;
            self.expect(")")?;
            inside
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn predicate(&mut self) -> Result<Condition, String> {
        if self.takes("EXISTS") {
            self.expect("(")?;
            let operand = self.operand()?;
            self.expect(")")?;
            return Ok(Condition::Not(Box::new(Condition::IsNull(operand))));
        }
        let left = self.operand()?;
        if self.takes("IS") {
            let is_negated = self.takes("NOT");
            self.expect("NULL")?;
            return Ok(negated(is_negated, Condition::IsNull(left)));
        }
        let is_negated = self.takes("NOT");
        if self.takes("IN") {
            self.expect("(")?;
            let mut values = vec![self.operand()?];
            while self.takes_symbol(",") {
                values.push(self.operand()?);
            }
            self.expect(")")?;
            return Ok(negated(is_negated, Condition::In(left, values)));
        }
        if self.takes("LIKE") {
            let pattern = self.operand()?;
            return Ok(negated(is_negated, Condition::Like(left, pattern)));
        }
        let token = self.next()?;
        let known = COMPARISONS.iter().find(|(symbol, _)| *token == Token::Symbol(symbol));
        match known {
            Some((_, comparison)) if !is_negated => {
                let comparison = *comparison;
                Ok(Condition::Compare(left, comparison, self.operand()?))
            }
            _ => Err(shown(token)),
        }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        if self.takes_symbol("-") {
            return match self.next()? {
                Token::Number(number) => Ok(Operand::Value(Value::Number(-number))),
                other => Err(shown(other)),
            };
        }
        let name = match self.next()?.clone() {
            Token::Text(text) => return Ok(Operand::Value(Value::Text(text))),
            Token::Number(number) => return Ok(Operand::Value(Value::Number(number))),
            Token::Quoted(name) => name,
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => return Ok(Operand::Value(Value::Flag(true))),
                "false" => return Ok(Operand::Value(Value::Flag(false))),
                "null" => return Err("`NULL` without `IS`".to_owned()),
                "and" | "or" | "not" | "in" | "like" | "is" => return Err(format!("`{word}`")),
                _ => word,
            },
            other @ Token::Symbol(_) => return Err(shown(&other)),
        };
        if !self.takes_symbol(".") {
            return Ok(Operand::Property(Property::User(name)));
        }
        let scope = name.to_ascii_lowercase();
        let name = match self.next()? {
            Token::Word(name) | Token::Quoted(name) => name.clone(),
            other => return Err(shown(other)),
        };
        match scope.as_str() {
            "user" => Ok(Operand::Property(Property::User(name))),
            "sys" => {
                let lower = name.to_ascii_lowercase();
                let known = SYSTEM.iter().find(|known| **known == lower);
                let known = known.ok_or_else(|| format!("`sys.{name}`"))?;
                Ok(Operand::Property(Property::System(known)))
            }
            _ => Err(format!("`{scope}.`")),
        }
    }
}

fn negated(is_negated: bool, condition: Condition) -> Condition {
    if is_negated { Condition::Not(Box::new(condition)) } else { condition }
}
