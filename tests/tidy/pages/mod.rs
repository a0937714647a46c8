//! Documents in Markdown: links that lead somewhere, and pages that say what the code says.

mod errors;
mod guide;
mod links;
mod literals;
mod markdown;

use super::Offence;
use super::repository::Repository;

/// Where the pages of the guide lie.
const GUIDE: &str = "jasper/src/docs/";

pub fn check(repository: &Repository, found: &mut Vec<Offence>) {
    for page in &repository.pages {
        links::check(page, repository, found);
    }
    guide::check(repository, found);
    errors::check(repository, found);
}
