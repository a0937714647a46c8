//! A batch as it is put together: its text, and its parameters in the order of their numbers.
//!
//! What is about one row has its values as parameters by themselves: such a statement is small, and
//! each text arrives as it is. What is about many rows has them in one parameter, as JSON.

use std::borrow::Cow;

use tiberius::{Row, ToSql};

use super::connection::SqlServerConnection;
use super::error::Result;
use super::sql;

/// A value, by the name that stands for it in a statement about one row; `None` if it is null.
pub(super) type NamedValue<'r> = (&'static str, Option<Box<dyn ToSql + 'r>>);

/// Gives a value its name. No name is the beginning of another one.
pub(super) fn named<'r>(name: &'static str, value: impl ToSql + 'r) -> NamedValue<'r> {
    (name, Some(Box::new(value)))
}

/// The same with a text that may be missing. Then it is no parameter: the driver gives a text that
/// is null no type, which not all servers take.
pub(super) fn named_text<'r>(name: &'static str, text: Option<Cow<'r, str>>) -> NamedValue<'r> {
    (name, text.map(|text| Box::new(text) as Box<dyn ToSql + 'r>))
}

#[derive(Default)]
pub(super) struct Batch<'r> {
    pub(super) text: String,
    parameters: Vec<Box<dyn ToSql + 'r>>,
}

impl<'r> Batch<'r> {
    /// A batch that begins with this text.
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), parameters: Vec::new() }
    }

    /// Adds a text without parameters.
    pub(super) fn add(&mut self, text: &str) {
        self.text += text;
    }

    /// Adds a statement about one row.
    pub(super) fn add_one(&mut self, statement: &str, values: Vec<NamedValue<'r>>) {
        let mut statement = statement.to_owned();
        for (name, value) in values {
            let Some(value) = value else {
                statement = statement.replace(name, "null");
                continue;
            };
            self.parameters.push(value);
            statement = statement.replace(name, &format!("@P{}", self.parameters.len()));
        }
        self.text += &statement;
    }

    /// Adds a statement about many rows, which are its first parameter.
    pub(super) fn add_many(&mut self, statement: &str, rows: String) {
        self.parameters.push(Box::new(rows));
        self.text += &sql::about(statement, self.parameters.len());
    }

    /// The same with the bodies of the rows, which are its second parameter.
    pub(super) fn add_many_with_bodies(&mut self, statement: &str, rows: String, bodies: Vec<u8>) {
        let at = self.parameters.len();
        let statement = sql::about(&statement.replace("@P2", "@bodies"), at + 1);
        self.text += &statement.replace("@bodies", &format!("@P{}", at + 2));
        self.parameters.push(Box::new(rows));
        self.parameters.push(Box::new(bodies));
    }

    pub(super) fn parameters(&self) -> Vec<&dyn ToSql> {
        self.parameters.iter().map(|parameter| &**parameter as &dyn ToSql).collect()
    }

    /// The rows of each result.
    pub(super) async fn results(
        &self,
        connection: &mut SqlServerConnection,
    ) -> Result<Vec<Vec<Row>>> {
        connection.results(&self.text, &self.parameters()).await
    }

    /// The rows of all results.
    pub(super) async fn rows(&self, connection: &mut SqlServerConnection) -> Result<Vec<Row>> {
        connection.rows(&self.text, &self.parameters()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_the_number_of_its_place() {
        let mut batch = Batch::new("begin; ");
        let values = vec![named("@a", 1_i64), named_text("@c", None), named("@b", "b")];
        batch.add_one("one @a @b @c @a;", values);
        batch.add_many(" many @P1 @P1;", "[]".to_owned());
        batch.add_many_with_bodies(" bodies @P2 @P1;", "[]".to_owned(), vec![1]);
        batch.add_one(" @a", vec![named("@a", 1_i64)]);
        let text = "begin; one @P1 @P2 null @P1; many @P3 @P3; bodies @P5 @P4; @P6";
        assert_eq!((&*batch.text, batch.parameters().len()), (text, 6));
    }
}
