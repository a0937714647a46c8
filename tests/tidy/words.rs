//! Words that do not belong in the code, and the header that does.

use super::Offence;
use super::repository::SourceFile;
use super::tokens::{Token, reads};

/// Put together, so that this file does not offend against its own rule.
const MARKERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

const REAL_TIME: &str = "// Real time:";

pub fn check_text(file: &SourceFile, found: &mut Vec<Offence>) {
    if file.is_rust() && !file.text.starts_with("//!") {
        let message = "no `//!` in the first line: say what the file is for";
        found.push(Offence::new(&file.path, 1, message));
    }
    for (number, line) in file.lines() {
        for marker in MARKERS {
            if has_word(line, marker) {
                let message = format!("{marker}: do it now, or open an issue and drop the note");
                found.push(Offence::new(&file.path, number, message));
            }
        }
    }
}

pub fn check_tokens(file: &SourceFile, found: &mut Vec<Offence>) {
    for (at, token) in file.tokens.iter().enumerate() {
        if let Some(message) = offence_at(file, at) {
            found.push(Offence::new(&file.path, token.line, message));
        }
    }
}

fn offence_at(file: &SourceFile, at: usize) -> Option<&'static str> {
    let tokens = &file.tokens;
    let is_test = file.is_in_tests() || tokens[at].is_test;
    if !is_test && reads(tokens, at, &[".", "unwrap", "(", ")"]) {
        return Some("`.unwrap()` outside tests: use `?`, or `.expect(\"why it cannot fail\")`");
    }
    if reads(tokens, at, &["#", "[", "ignore"]) {
        return Some("`#[ignore]`: mend the test, or delete it");
    }
    if reads(tokens, at, &["todo", "!"]) || reads(tokens, at, &["unimplemented", "!"]) {
        return Some("a hole in the program: write the code, or return an error that says why not");
    }
    if reads(tokens, at, &["dbg", "!"]) {
        return Some("`dbg!`: use a `tracing` event if it is worth keeping, else delete it");
    }
    if is_test && is_sleep(tokens, at) && !is_explained(file, tokens[at].line) {
        return Some(
            "a test that sleeps: wait for a signal, or pause the clock; where only real time will \
             do, say why in a comment `// Real time: …` on the line before",
        );
    }
    None
}

/// A call of `sleep` by path or by its imported name. A method is that of another clock.
fn is_sleep(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).map_or("", |before| tokens[before].text.as_str());
    reads(tokens, at, &["sleep", "("]) && before != "." && before != "fn"
}

/// Whether the reason stands on this line or in the block of comments right above it.
fn is_explained(file: &SourceFile, line: usize) -> bool {
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let above = lines[..line - 1].iter().rev().take_while(|line| line.starts_with("//"));
    lines[line - 1].contains(REAL_TIME) || above.into_iter().any(|line| line.starts_with(REAL_TIME))
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let end = start + word.len();
        !joins(line[..start].chars().next_back()) && !joins(line[end..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{assert_clean, assert_offence};
    use super::MARKERS;

    const SOURCE: &str = "jasper/src/runtime/relay.rs";
    const TEST: &str = "tests/recovery.rs";

    fn file(body: &str) -> String {
        format!("//! A snippet.\n\n{body}\n")
    }

    #[test]
    fn a_file_without_a_header_is_an_offence() {
        assert_offence(&[(SOURCE, "use std::fmt;\n")], "relay.rs:1: no `//!`");
        assert_offence(&[(SOURCE, "")], "no `//!`");
        assert_clean(&[("tests/ui/handler/pass/a.rs", "fn main() {}\n")]);
    }

    #[test]
    fn unwrap_is_an_offence_outside_tests_only() {
        assert_offence(&[(SOURCE, &file("fn f() { g().unwrap() }"))], "relay.rs:3: `.unwrap()`");
        let inside = file("fn f() { info!(a = g().unwrap()) }");
        assert_offence(&[("examples/orders.rs", &inside)], "`.unwrap()`");
        assert_clean(&[(SOURCE, &file("#[cfg(test)]\nmod tests { fn f() { g().unwrap() } }"))]);
        assert_clean(&[(TEST, &file("fn f() { g().unwrap() }"))]);
        assert_clean(&[(
            SOURCE,
            &file("/// `a.unwrap()`\nfn f() { g().unwrap_or(\".unwrap()\") }"),
        )]);
    }

    #[test]
    fn a_test_that_is_switched_off_is_an_offence() {
        assert_offence(&[(TEST, &file("#[ignore = \"slow\"]\nfn f() {}"))], "`#[ignore]`");
    }

    #[test]
    fn holes_and_leftovers_are_offences() {
        for hole in ["todo!()", "unimplemented!(\"later\")"] {
            assert_offence(&[(SOURCE, &file(&format!("fn f() {{ {hole} }}")))], "a hole");
        }
        assert_offence(&[(SOURCE, &file("fn f() { dbg!(1); }"))], "`dbg!`");
        for marker in MARKERS {
            assert_offence(&[(SOURCE, &file(&format!("// {marker}: later")))], marker);
            assert_clean(&[(SOURCE, &file(&format!("const {marker}_LIST: u8 = 1;")))]);
        }
    }

    #[test]
    fn a_test_may_sleep_only_with_a_reason() {
        for sleep in ["std::thread::sleep(d)", "tokio::time::sleep(d).await", "sleep(d).await"] {
            let body = file(&format!("async fn f() {{\n    {sleep};\n}}"));
            assert_offence(&[(TEST, &body)], "recovery.rs:4: a test that sleeps");
        }
        let above =
            "async fn f() {\n// Real time: the lease\n// has to run out.\nsleep(d).await;\n}";
        assert_clean(&[(TEST, &file(above))]);
        assert_clean(&[(TEST, &file("fn f() {\nsleep(d); // Real time: the disk is slow.\n}"))]);
        assert_clean(&[(TEST, &file("fn f() { clock.sleep(d) }"))]);
        assert_clean(&[(SOURCE, &file("async fn f() { sleep(d).await }"))]);
        let unit_test = file("#[tokio::test]\nasync fn f() { sleep(d).await }");
        assert_offence(&[(SOURCE, &unit_test)], "a test that sleeps");
    }
}
