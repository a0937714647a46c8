//! Limits on files, functions and lines.

use super::Offence;
use super::repository::SourceFile;

const FILE_LINES: usize = 600;
const FILE_LINES_NOTED: usize = 400;
const FUNCTION_LINES: usize = 70;
const LINE_CHARACTERS: usize = 100;

pub fn check_lines(file: &SourceFile, found: &mut Vec<Offence>) {
    let length = file.lines().count();
    if file.is_rust() && length > FILE_LINES {
        let message = format!("{length} lines, of {FILE_LINES} at most: split it by subject");
        found.push(Offence::new(&file.path, length, message));
    }
    for (number, line) in file.lines() {
        let width = line.chars().count();
        // An address is the one thing that breaking a line would spoil.
        if width > LINE_CHARACTERS && !line.contains("://") {
            let message = format!("{width} characters, of {LINE_CHARACTERS} at most: break it");
            found.push(Offence::new(&file.path, number, message));
        }
    }
}

pub fn check_functions(file: &SourceFile, found: &mut Vec<Offence>) {
    for (at, token) in file.tokens.iter().enumerate() {
        if !token.is("fn") {
            continue;
        }
        let Some((name, close)) = function(file, at) else {
            continue;
        };
        let length = file.tokens[close].line - token.line + 1;
        if length > FUNCTION_LINES {
            let message = format!(
                "`{name}` has {length} lines, of {FUNCTION_LINES} at most: \
                 give its parts a name and a function of their own"
            );
            found.push(Offence::new(&file.path, token.line, message));
        }
    }
}

/// A file that is allowed, but should not grow.
pub fn note(file: &SourceFile) -> Option<String> {
    let length = file.lines().count();
    let is_noted = file.is_rust() && (FILE_LINES_NOTED + 1..=FILE_LINES).contains(&length);
    is_noted.then(|| format!("{} has {length} lines; {FILE_LINES} is the limit", file.path))
}

/// The name and the closing brace of the function whose `fn` is at `at`. None for the type of a
/// function pointer and for a declaration without a body.
fn function(file: &SourceFile, at: usize) -> Option<(String, usize)> {
    // Within `quote!` and `macro_rules!` the name may be a variable: `fn #name`, `fn $name`.
    let is_variable = file.tokens.get(at + 1).is_some_and(|token| token.is("#") || token.is("$"));
    let name = file.tokens.get(at + 1 + usize::from(is_variable)).filter(|token| token.is_word)?;
    let mut here = at;
    while let Some(token) = file.tokens.get(here) {
        match token.text.as_str() {
            "{" => return Some((name.text.clone(), token.end)),
            ";" | ")" | "]" | "}" => return None,
            _ => here = token.end + 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Repository, assert_clean, assert_offence, notes};

    const FILE: &str = "jasper-macros/src/handler/expand.rs";

    fn file_of(lines: usize) -> String {
        format!("//! Long.\n{}", "// A line.\n".repeat(lines - 1))
    }

    fn function_of(lines: usize) -> String {
        format!("//! Long.\n\nasync fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_of_more_than_600_lines_is_an_offence() {
        assert_clean(&[(FILE, &file_of(600))]);
        assert_offence(&[(FILE, &file_of(601))], "expand.rs:601: 601 lines");
        assert_offence(&[("tests/recovery.rs", &file_of(601))], "601 lines");
    }

    #[test]
    fn a_file_of_more_than_400_lines_is_noted() {
        assert!(notes(&Repository::of(&[(FILE, &file_of(400))])).is_empty());
        assert!(notes(&Repository::of(&[(FILE, &file_of(401))]))[0].contains("401 lines"));
    }

    #[test]
    fn a_function_of_more_than_70_lines_is_an_offence() {
        assert_clean(&[(FILE, &function_of(70))]);
        assert_offence(&[(FILE, &function_of(71))], "expand.rs:3: `long` has 71 lines");
    }

    #[test]
    fn a_function_inside_a_macro_call_counts_too() {
        let body = "    step();\n".repeat(69);
        let inside = format!("//! Long.\n\nquote! {{\nfn #name() {{\n{body}}}\n}}\n");
        assert_offence(&[(FILE, &inside)], "expand.rs:4: `name` has 71 lines");
    }

    #[test]
    fn a_type_and_a_declaration_are_no_functions() {
        let text = "type Run = fn(u8) -> u8;\ntrait T { fn f(&self); }\n";
        assert_clean(&[(FILE, &format!("//! Short.\n\n{text}{}", "// A line.\n".repeat(80)))]);
    }

    #[test]
    fn a_line_of_more_than_100_characters_is_an_offence() {
        let line = |width: usize| format!("//! Wide.\n// {}\n", "ä".repeat(width - 3));
        assert_clean(&[(FILE, &line(100))]);
        assert_offence(&[(FILE, &line(101))], "expand.rs:2: 101 characters");
        let sql = "x".repeat(101);
        assert_offence(&[("migrations/sqlite/0001_a.sql", &sql)], "101 characters");
        assert_offence(&[("tests/ui/handler/fail/a.rs", &sql)], "101 characters");
        assert_clean(&[(FILE, &format!("//! See https://example.org/{sql}\n"))]);
    }
}
