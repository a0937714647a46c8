//! Filters in SQL: the part of the service's that most rules need. Comparisons, `AND`, `OR`, `NOT`,
//! `IN`, `LIKE`, `IS NULL`, `EXISTS` over properties of the application and of the system. What
//! cannot be known is neither true nor false, as SQL has it.

mod condition;
mod parse;
mod tokens;

use self::condition::Condition;
use super::letter::Letter;

/// An expression that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expression {
    text: String,
    condition: Condition,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What in it is not supported.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), condition: parse::parse(text)? })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn lets_through(&self, letter: &Letter) -> bool {
        self.condition.holds(letter) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::primitives::SimpleValue;

    use super::*;
    use crate::testing::servicebus::letter;

    fn letter() -> Letter {
        let mut letter = letter::decode(&[0x00, 0x53, 0x77, 0x40]).unwrap();
        let properties = letter.properties.get_or_insert_default();
        properties.subject = Some("shop.order-placed".to_owned());
        let known = &mut letter.application_properties.get_or_insert_default().0;
        for (name, value) in [
            ("size", SimpleValue::Int(7)),
            ("share", SimpleValue::Double(0.5.into())),
            ("colour", SimpleValue::String("it's blue".to_owned())),
            ("is new", SimpleValue::Bool(true)),
        ] {
            known.insert(name.to_owned(), value);
        }
        letter
    }

    #[test]
    fn an_expression_lets_messages_through_of_which_it_is_true() {
        for (expression, expected) in [
            ("size > 3 AND share <= 0.5", true),
            ("size = 7 or missing = 1", true),
            ("NOT size >= 8", true),
            ("size <> 7", false),
            ("size IN (1, 2, 7)", true),
            ("size NOT IN (1, 2)", true),
            ("size NOT IN (1, missing)", false),
            ("size > -1", true),
            ("colour = 'it''s blue'", true),
            ("user.colour LIKE '%bl_e'", true),
            ("colour NOT LIKE 'red%'", true),
            ("sys.Label LIKE 'shop.%'", true),
            ("sys.CorrelationId IS NULL", true),
            ("[is new] = TRUE AND \"size\" < 8", true),
            ("missing IS NULL AND size IS NOT NULL", true),
            ("EXISTS(size) AND NOT EXISTS (missing)", true),
            ("(size = 1 OR size = 7) AND (share = 1 OR colour LIKE '%')", true),
            // What is unknown is neither true nor false.
            ("missing = 1", false),
            ("NOT missing = 1", false),
            ("missing <> 1 OR size = 7", true),
            ("size = '7'", false),
            ("1 = 1", true),
        ] {
            let read = Expression::read(expression).unwrap();
            assert_eq!(read.lets_through(&letter()), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let deep = "NOT ".repeat(100) + "a = 1";
        for (expression, named) in [
            ("size + 1 > 7", "`+`"),
            ("newid() = 1", "`(`"),
            ("sys.EnqueuedTimeUtc > 1", "`sys.EnqueuedTimeUtc`"),
            ("other.size = 1", "`other.`"),
            ("size = @parameter", "`@`"),
            ("size = NULL", "`NULL`"),
            ("colour LIKE 'a' ESCAPE 'b'", "`ESCAPE`"),
            ("size", "ends too soon"),
            ("", "ends too soon"),
            ("colour = 'open", "no end"),
            ("size = 1 size = 2", "`size`"),
            (&deep, "so deep"),
        ] {
            let error = Expression::read(expression).unwrap_err();
            assert!(error.contains(named), "{expression}: {error}");
        }
    }
}
