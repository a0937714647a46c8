//! The pages on errors have every error: its name, its line in the log, the words of the compiler.

use super::super::Offence;
use super::super::repository::{Repository, SourceFile};
use super::literals::{logged, unimplemented, variants};
use super::markdown::rows;

const ERRORS: &str = "jasper/src/docs/errors.md";
const ROUTING: &str = "jasper/src/docs/routing.md";

/// Enums whose variants a user meets by name.
const NAMED: [&str; 8] = [
    "Error",
    "InvokeError",
    "KeyError",
    "Problem",
    "SendError",
    "StoreError",
    "TlsError",
    "TransportError",
];

/// What needs a person, or would if it came often.
const LEVELS: [&str; 2] = ["error", "warn"];

pub fn check(repository: &Repository, found: &mut Vec<Offence>) {
    let page = |path| repository.pages.iter().find(|page| page.path == path);
    let library = || {
        let files = repository.files.iter();
        files.filter(|file| file.path.starts_with("jasper/src/"))
    };
    if let Some(page) = page(ERRORS) {
        library().for_each(|file| check_names(file, page, found));
        check_log(page, library(), found);
    }
    if let Some(page) = page(ROUTING) {
        for file in library() {
            for (line, text) in unimplemented(file) {
                if !page.text.contains(&text) {
                    let message = format!("`{text}` is not in {ROUTING}: say what to do about it");
                    found.push(Offence::new(&file.path, line, message));
                }
            }
        }
    }
}

fn check_names(file: &SourceFile, page: &SourceFile, found: &mut Vec<Offence>) {
    for name in NAMED {
        for (line, variant) in variants(file, name) {
            if !page.text.contains(&format!("`{variant}`")) {
                let message = format!("`{name}::{variant}` is not in {ERRORS}: say what to do");
                found.push(Offence::new(&file.path, line, message));
            }
        }
    }
}

/// Rows of the log have a level, the beginning of a text, and what it means.
fn check_log<'r>(
    page: &'r SourceFile,
    library: impl Iterator<Item = &'r SourceFile>,
    found: &mut Vec<Offence>,
) {
    let is_level = |cells: &[&str]| cells.len() == 3 && LEVELS.contains(&cells[0]);
    let mut left: Vec<_> = rows(page).filter(|(_, cells)| is_level(cells)).collect();
    let known = left.clone();
    for file in library.filter(|file| !file.path.starts_with("jasper/src/testing/")) {
        for level in LEVELS {
            for (line, text) in logged(file, level) {
                let is_row = |cells: &[&str]| cells[0] == level && text.starts_with(cells[1]);
                left.retain(|(_, cells)| !is_row(cells));
                if !known.iter().any(|(_, cells)| is_row(cells)) {
                    let message = format!("the line `{text}` ({level}) is not in {ERRORS}");
                    found.push(Offence::new(&file.path, line, message));
                }
            }
        }
    }
    for (line, cells) in left {
        let message = format!("no code logs `{}` at level {}: remove the row", cells[1], cells[0]);
        found.push(Offence::new(&page.path, line, message));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{assert_clean, assert_offence};
    use super::*;

    const CODE: &str = "jasper/src/runtime/relay.rs";

    #[test]
    fn an_error_that_the_page_does_not_have_is_an_offence() {
        let code = "//! E.\npub enum SendError { Full, Stopping }\n";
        let page = "| `Full` | x |\n";
        assert_offence(&[(CODE, code), (ERRORS, page)], "`SendError::Stopping` is not in");
        assert_clean(&[(CODE, code), (ERRORS, "`Full`, `Stopping`\n")]);
    }

    #[test]
    fn a_log_line_that_the_page_does_not_have_is_an_offence_and_so_is_a_row_without_one() {
        let code = "//! E.\nfn f() { tracing::warn!(%error, \"it is {} down; wait\", 1); }\n";
        assert_clean(&[(CODE, code), (ERRORS, "| warn | it is … down | x |\n")]);
        assert_offence(&[(CODE, code), (ERRORS, "x\n")], "the line `it is … down; wait` (warn)");
        let more = "| warn | it is … down | x |\n| error | gone | x |\n";
        assert_offence(&[(CODE, code), (ERRORS, more)], "no code logs `gone` at level error");
    }

    #[test]
    fn words_of_the_compiler_that_the_page_does_not_have_are_an_offence() {
        let code =
            "//! E.\n#[diagnostic::on_unimplemented(message = \"no `{Self}`\")]\ntrait T {}\n";
        assert_offence(&[(CODE, code), (ROUTING, "x\n")], "`no `<Self>`` is not in");
        assert_clean(&[(CODE, code), (ROUTING, "| no `<Self>` | x |\n")]);
    }
}
