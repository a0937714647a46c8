//! Links of documents: each leads to a file of the repository, and to a heading that is there.

use super::super::Offence;
use super::super::repository::{Repository, SourceFile};
use super::markdown::{self, Link, fragment, headings};

pub fn check(page: &SourceFile, repository: &Repository, found: &mut Vec<Offence>) {
    let definitions = markdown::definitions(page);
    for Link { line, target, is_reference } in markdown::links(page) {
        if is_reference && !definitions.iter().any(|(_, name, _)| *name == target) {
            let message = format!("`[{target}]` is not defined: add `[{target}]: …` at the end");
            found.push(Offence::new(&page.path, line, message));
        } else if !is_reference {
            check_target(page, line, &target, repository, found);
        }
    }
    for (line, _, target) in definitions {
        check_target(page, line, target, repository, found);
    }
}

fn check_target(
    page: &SourceFile,
    line: usize,
    target: &str,
    repository: &Repository,
    found: &mut Vec<Offence>,
) {
    // The compiler of the documentation looks at items, and other sites are not ours.
    if target.contains("::") || target.contains("://") {
        return;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.path.clone() } else { resolve(&page.path, file) };
    if !repository.paths.contains(&path) {
        let message = format!("`{target}` leads to {path}, which is not there: mend the link");
        return found.push(Offence::new(&page.path, line, message));
    }
    let other = repository.pages.iter().find(|other| other.path == path);
    let is_there = heading.is_empty()
        || other.is_none_or(|other| headings(other).any(|title| fragment(title) == heading));
    if !is_there {
        let message = format!("{path} has no heading `#{heading}`: mend the link");
        found.push(Offence::new(&page.path, line, message));
    }
}

/// The path from the root of the repository of a link in the page at `page`.
fn resolve(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::super::{assert_clean, assert_offence};

    const OTHER: (&str, &str) = ("docs/other.md", "# Other\n\n## What it is, in `short`\n");

    #[test]
    fn a_link_to_a_file_that_is_not_there_is_an_offence() {
        assert_offence(&[("README.md", "See [other](docs/none.md).\n")], "docs/none.md");
        assert_offence(&[("README.md", "See [other][o].\n\n[o]: none.md\n")], "README.md:3");
        assert_clean(&[("README.md", "See [other](docs/other.md).\n"), OTHER]);
        assert_clean(&[
            ("docs/page.md", "See [other](./other.md), [up](../docs/other.md).\n"),
            OTHER,
        ]);
    }

    #[test]
    fn a_link_to_a_heading_that_is_not_there_is_an_offence() {
        let page = |link: &str| format!("See [other](docs/other.md#{link}).\n");
        assert_offence(&[("README.md", &page("what")), OTHER], "no heading `#what`");
        assert_clean(&[("README.md", &page("what-it-is-in-short")), OTHER]);
        assert_offence(&[("README.md", "# Here\n\n[there](#there)\n")], "no heading `#there`");
    }

    #[test]
    fn a_reference_without_a_definition_is_an_offence() {
        assert_offence(&[("README.md", "See [other][name].\n")], "`[name]` is not defined");
    }

    #[test]
    fn code_items_and_other_sites_are_left_alone() {
        let text = "`a[0](1)` [`Bus`](crate::Bus) [site](https://example.org)\n\n\
                    ```rust\n[no](link)\n```\n";
        assert_clean(&[("README.md", text)]);
    }
}
