//! Every statement as it was reviewed, with the names of one schema in it, and the parameters that
//! several rows make. A change of SQL shows here where no server runs.
//!
//! That each finds its rows through an index is by what stands in it: keys and the predicates of
//! the indexes. No server that runs in the tests of this repository can explain it.

use super::sql::{Names, Sql};

fn sql() -> Sql {
    Sql::of(&Names::of("shop").expect("a schema"))
}

#[test]
fn every_statement_is_as_it_was_reviewed() {
    for (name, text) in sql().list() {
        assert!(!text.contains('{'), "{name} has a place without a name: {text}");
    }
}
