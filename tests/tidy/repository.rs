//! The files that the rules look at: all Rust and SQL of the repository, build output left out.

use std::fs;
use std::io;
use std::path::Path;

use super::tokens::{self, Token, Unreadable};

#[derive(Debug)]
pub struct Repository {
    pub files: Vec<SourceFile>,
    /// `tests/Cargo.toml`, which names every test.
    pub test_manifest: String,
}

#[derive(Debug)]
pub struct SourceFile {
    /// From the root of the repository, with `/` between the parts.
    pub path: String,
    pub text: String,
    /// Empty for SQL, and for a file that does not lex.
    pub tokens: Vec<Token>,
    pub unreadable: Option<Unreadable>,
}

impl Repository {
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        read_folder(root, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let test_manifest = fs::read_to_string(root.join("tests/Cargo.toml"))?;
        Ok(Self { files, test_manifest })
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| SourceFile::new(path.into(), text.into());
        Self { files: files.iter().map(file).collect(), test_manifest: String::new() }
    }
}

impl SourceFile {
    fn new(path: String, text: String) -> Self {
        let is_rust = path.ends_with(".rs") && !path.starts_with("tests/ui/");
        let lexed = if is_rust { tokens::lex(&text) } else { Ok(Vec::new()) };
        let (tokens, unreadable) = match lexed {
            Ok(tokens) => (tokens, None),
            Err(unreadable) => (Vec::new(), Some(unreadable)),
        };
        Self { path, text, tokens, unreadable }
    }

    /// A Rust file that has to keep every rule. The cases under `tests/ui` are wrong on purpose.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs") && !self.is_compile_case()
    }

    pub fn is_compile_case(&self) -> bool {
        self.path.starts_with("tests/ui/")
    }

    /// In the member crate of integration tests, where all code is test code.
    pub fn is_in_tests(&self) -> bool {
        self.path.starts_with("tests/")
    }

    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        // Of a symbolic link this is neither, so that `jasper/migrations` is not read twice.
        let kind = entry.file_type()?;
        if kind.is_dir() && name != "target" && !name.starts_with('.') {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && is_looked_at(&path) {
            files.push(SourceFile::new(path, fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

/// The migrations folder is looked at whole, as a stray file in it is an offence of its own.
fn is_looked_at(path: &str) -> bool {
    path.ends_with(".rs") || path.ends_with(".sql") || path.starts_with("migrations/")
}

#[test]
fn a_file_that_does_not_lex_is_an_offence() {
    let broken = ("jasper/src/message/kind.rs", "//! Broken.\n\nfn f() {\n");
    super::assert_offence(&[broken], "cannot be read as Rust");
}
