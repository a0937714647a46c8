//! The cases of a file, and the errors that are reported in it.

use std::ops::RangeInclusive;

/// One module of a file.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Its lines, from 1.
    pub(crate) lines: RangeInclusive<usize>,
    /// How many errors it has: one, or as many as `// N errors: …` above it says and explains.
    pub(crate) errors: usize,
}

/// The modules of a file, but for those that `// For the others.` stands above.
pub(crate) fn cases_of(source: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    let mut comment = "";
    let mut above = "";
    for (line, text) in source.lines().enumerate().map(|(index, text)| (index + 1, text)) {
        if let Some(text) = text.strip_prefix("// ") {
            comment = if comment.is_empty() { text } else { comment };
        } else if let Some(name) = module(text) {
            (open, above, comment) = (Some((name, line)), comment, "");
        } else if text == "}"
            && let Some((name, start)) = open.take()
            && above != "For the others."
        {
            let errors = above.split_once(" errors: ").and_then(|(count, _)| count.parse().ok());
            let (name, lines) = (name.to_owned(), start..=line);
            cases.push(Case { name, lines, errors: errors.unwrap_or(1) });
        }
    }
    cases
}

fn module(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    line.strip_prefix("mod ")?.strip_suffix(" {")
}

/// The lines at which errors and warnings are reported.
pub(crate) fn errors_of(texts: &str) -> Vec<usize> {
    let mut is_headline = false;
    let mut lines = Vec::new();
    for text in texts.lines() {
        if text.starts_with("error") || text.starts_with("warning") {
            is_headline = true;
        } else if let Some((_, place)) = text.split_once("--> ")
            && std::mem::take(&mut is_headline)
        {
            lines.extend(place.split(':').nth(1).and_then(|line| line.parse::<usize>().ok()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_a_case() {
        let source = "// For the others.\nmod shop {\n}\n\nmod one {\n    mod inner {\n    }\n}\n\
                      // 2 errors: why.\nmod two {\n}\n";
        let cases = cases_of(source);
        let found: Vec<_> = cases.iter().map(|c| (&*c.name, c.lines.clone(), c.errors)).collect();
        assert_eq!(found, [("one", 5..=8, 1), ("two", 10..=11, 2)]);
    }

    #[test]
    fn an_error_is_where_its_headline_points() {
        let texts = "error[E0277]: one\n --> ui/a.rs:7:1\n  |\nnote: x\n --> ui/a.rs:9:1\n\n\
                     warning: two\n  --> ui/a.rs:12:3\n";
        assert_eq!(errors_of(texts), [7, 12]);
    }
}
