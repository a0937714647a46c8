//! Every file of tests is run: Cargo does not look for them, so each has to be named.

use super::repository::SourceFile;
use super::{Offence, Repository};

/// The folders of the tests, by what they hold the library to.
const FOLDERS: [&str; 6] = ["durability", "macros", "process", "routing", "store", "transport"];

/// Reports each file of tests that `tests/Cargo.toml` does not name.
pub(super) fn check(repository: &Repository, found: &mut Vec<Offence>) {
    for file in &repository.files {
        if let Some(path) = test_path(file)
            && !repository.test_manifest.contains(&format!("path = \"{path}\""))
        {
            let message = "is run by nothing: name it in tests/Cargo.toml as a `[[test]]`";
            found.push(Offence::new(&file.path, 1, message));
        }
    }
}

/// Its path from the folder of the tests, if it has tests and is no module of another file.
fn test_path(file: &SourceFile) -> Option<&str> {
    let path = file.path.strip_prefix("tests/")?;
    let (folder, name) = path.split_once('/')?;
    let is_root = FOLDERS.contains(&folder) && !name.contains('/');
    let has_tests = file.text.contains("#[test]") || file.text.contains("#[tokio::test");
    (is_root && has_tests).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::super::{assert_clean, assert_offence};

    const TEST: &str = "//! A test.\n\n#[test]\nfn it_runs() {}\n";

    #[test]
    fn a_test_that_is_not_named_is_an_offence() {
        assert_offence(&[("tests/routing/forgotten.rs", TEST)], "is run by nothing");
        assert_clean(&[("tests/routing/forgotten/stage.rs", TEST)]);
        assert_clean(&[("tests/routing/stage.rs", "//! No test.\n")]);
    }
}
