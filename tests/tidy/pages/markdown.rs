//! What the rules have to know of a document in Markdown.

use super::super::repository::SourceFile;

/// A link, with the line that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub line: usize,
    /// What stands in `(…)`, or in the second pair of brackets.
    pub target: String,
    /// Whether the target is the name of a definition.
    pub is_reference: bool,
}

/// The lines that are text, with their numbers: those of code are left out.
pub fn prose(page: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    page.lines().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The links of the text, `[text](target)` and `[text][name]`; those in code are none.
pub fn links(page: &SourceFile) -> Vec<Link> {
    let mut links = Vec::new();
    for (line, text) in prose(page) {
        let text = without_code(text);
        for (at, _) in text.match_indices(']') {
            let Some(open) = text[at + 1..].chars().next() else { continue };
            let close = match open {
                '(' => ')',
                '[' => ']',
                _ => continue,
            };
            if let Some(end) = text[at + 2..].find(close) {
                let target = text[at + 2..at + 2 + end].to_owned();
                links.push(Link { line, target, is_reference: open == '[' });
            }
        }
    }
    links
}

/// The definitions `[name]: target`.
pub fn definitions<'a>(page: &'a SourceFile) -> Vec<(usize, &'a str, &'a str)> {
    let definition = |(line, text): (usize, &'a str)| {
        let (name, target) = text.strip_prefix('[')?.split_once("]: ")?;
        Some((line, name, target.trim()))
    };
    prose(page).filter_map(definition).collect()
}

/// The headings, without their marks.
pub fn headings(page: &SourceFile) -> impl Iterator<Item = &str> {
    prose(page).filter_map(|(_, line)| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len()).then(|| text.strip_prefix(' ')).flatten()
    })
}

/// The name of a heading in an address.
pub fn fragment(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The cells of the rows of tables, with the number of their line.
pub fn rows(page: &SourceFile) -> impl Iterator<Item = (usize, Vec<&str>)> {
    prose(page).filter_map(|(line, text)| {
        let inside = text.strip_prefix("| ")?.strip_suffix(" |")?;
        Some((line, inside.split(" | ").collect()))
    })
}

/// Spaces where code stands, so that brackets in it are none.
fn without_code(text: &str) -> String {
    let mut is_code = false;
    let blank = |c: char| {
        is_code ^= c == '`';
        if is_code && c.is_ascii() { ' ' } else { c }
    };
    text.chars().map(blank).collect()
}
