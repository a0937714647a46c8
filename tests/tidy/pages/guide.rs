//! The pages of the guide: each is a module and stands in the index, and its sections are there.

use super::super::Offence;
use super::super::repository::{Repository, SourceFile};
use super::GUIDE;
use super::markdown::{headings, rows};

const MODULE: &str = "jasper/src/guide.rs";
const QUESTIONS: &str = "jasper/src/docs/questions.md";

/// A page that is longer is two.
const LINES: usize = 300;

pub fn check(repository: &Repository, found: &mut Vec<Offence>) {
    let Some(module) = repository.files.iter().find(|file| file.path == MODULE) else {
        return;
    };
    for page in &repository.pages {
        let Some(name) = page.path.strip_prefix(GUIDE).and_then(|n| n.strip_suffix(".md")) else {
            continue;
        };
        if !module.text.contains(&format!("{name}: \"{name}.md\"")) {
            let message = format!("`{name}` is no module: add it to `pages!` in {MODULE}");
            found.push(Offence::new(&page.path, 1, message));
        }
        if !module.text.contains(&format!("[`{name}`]")) {
            let message = format!("`{name}` is not in the index: add a row in {MODULE}");
            found.push(Offence::new(&page.path, 1, message));
        }
        let length = page.lines().count();
        if length > LINES {
            let message = format!("{length} lines, of {LINES} at most: make two pages of it");
            found.push(Offence::new(&page.path, length, message));
        }
        if page.path == QUESTIONS {
            check_sections(page, repository, found);
        }
    }
}

/// The last cell of a row links to a page and has the title of its section: `[Page][page], *It*`.
fn check_sections(page: &SourceFile, repository: &Repository, found: &mut Vec<Offence>) {
    for (line, cells) in rows(page) {
        let Some((link, title)) = cells.last().and_then(|cell| cell.split_once(", *")) else {
            continue;
        };
        let title = title.trim_end_matches('*');
        let name = link.rsplit('[').next().unwrap_or_default().trim_end_matches(']');
        let path = format!("{GUIDE}{name}.md");
        let target = repository.pages.iter().find(|page| page.path == path);
        if !target.is_some_and(|target| headings(target).any(|heading| heading == title)) {
            let message = format!("{path} has no section `{title}`: mend the title or the page");
            found.push(Offence::new(&page.path, line, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{assert_clean, assert_offence};
    use super::*;

    const BOTH: &str = "//! | [`queues`] | x |\n//! | [`questions`] | x |\n\
                        pages! { queues: \"queues.md\", questions: \"questions.md\", }\n";

    #[test]
    fn a_page_that_is_no_module_or_not_in_the_index_is_an_offence() {
        let page = ("jasper/src/docs/queues.md", "# Queues\n");
        assert_offence(&[(MODULE, "//! | [`queues`] |\n"), page], "is no module");
        assert_offence(&[(MODULE, "//! x\npages! { queues: \"queues.md\", }\n"), page], "index");
        assert_clean(&[(MODULE, BOTH), page]);
    }

    #[test]
    fn a_question_that_names_a_section_which_is_not_there_is_an_offence() {
        let queues = ("jasper/src/docs/queues.md", "# Queues\n\n## Order\n");
        let ask =
            |title: &str| format!("| Q? | A. | [Q][queues], *{title}* |\n\n[queues]: queues.md\n");
        assert_clean(&[(MODULE, BOTH), queues, (QUESTIONS, &ask("Order"))]);
        assert_offence(&[(MODULE, BOTH), queues, (QUESTIONS, &ask("Later"))], "section `Later`");
    }
}
