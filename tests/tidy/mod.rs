//! What is checked, and the report of it.

mod circles;
mod layers;
mod names;
mod pages;
mod repository;
mod size;
mod targets;
mod tokens;
mod words;

use std::fmt;

pub use repository::Repository;

/// One breach of a rule. The message says what to do instead.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offence {
    path: String,
    line: usize,
    message: String,
}

impl Offence {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Every offence in the repository, in the order of files and lines.
pub fn offences(repository: &Repository) -> Vec<Offence> {
    let mut found = Vec::new();
    for file in &repository.files {
        size::check_lines(file, &mut found);
        names::check(file, &mut found);
        words::check_text(file, &mut found);
        if let Some(problem) = &file.unreadable {
            found.push(Offence::new(&file.path, problem.line, "cannot be read as Rust; mend it"));
        }
        size::check_functions(file, &mut found);
        words::check_tokens(file, &mut found);
    }
    circles::check(repository, &mut found);
    layers::check(repository, &mut found);
    names::check_adapters(repository, &mut found);
    names::check_migrations(repository, &mut found);
    targets::check(repository, &mut found);
    pages::check(repository, &mut found);
    found.sort();
    found.dedup();
    found
}

/// What is allowed but worth a look.
pub fn notes(repository: &Repository) -> Vec<String> {
    repository.files.iter().filter_map(size::note).collect()
}

/// The messages for a repository of these files only; what the tests of the rules look at.
#[cfg(test)]
fn complaints(files: &[(&str, &str)]) -> Vec<String> {
    offences(&Repository::of(files)).iter().map(ToString::to_string).collect()
}

/// Shows a rule one repository and asserts that it answers with one offence, at this place and with
/// these words.
#[cfg(test)]
#[track_caller]
fn assert_offence(files: &[(&str, &str)], expected: &str) {
    let found = complaints(files);
    assert!(found.len() == 1 && found[0].contains(expected), "expected {expected:?}: {found:#?}");
}

#[cfg(test)]
#[track_caller]
fn assert_clean(files: &[(&str, &str)]) {
    let found = complaints(files);
    assert!(found.is_empty(), "expected no offence: {found:#?}");
}
