//! The files that the rules look at: all Rust, SQL and Markdown, what is built left out.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::tokens::{self, Token, Unreadable};

#[derive(Debug, Default)]
pub struct Repository {
    pub files: Vec<SourceFile>,
    /// The documents in Markdown.
    pub pages: Vec<SourceFile>,
    /// Every file and folder, whatever is in it.
    pub paths: BTreeSet<String>,
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
        let test_manifest = fs::read_to_string(root.join("tests/Cargo.toml"))?;
        let mut repository = Self { test_manifest, ..Self::default() };
        repository.read_folder(root, "")?;
        repository.files.sort_by(|a, b| a.path.cmp(&b.path));
        repository.pages.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(repository)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            // Of a symbolic link this is neither, so that `jasper/migrations` is not read twice.
            let kind = entry.file_type()?;
            if kind.is_dir() && !is_left_out(&name) {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() && is_looked_at(&path) {
                self.add(path.clone(), fs::read_to_string(entry.path())?);
            }
            self.paths.insert(path);
        }
        Ok(())
    }

    fn add(&mut self, path: String, text: String) {
        let kind = if path.ends_with(".md") { &mut self.pages } else { &mut self.files };
        kind.push(SourceFile::new(path, text));
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut repository = Self::default();
        for (path, text) in files {
            repository.add((*path).into(), (*text).into());
            repository.paths.insert((*path).into());
        }
        repository
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

/// What is built or installed, and what belongs to tools.
fn is_left_out(name: &str) -> bool {
    ["target", "node_modules"].contains(&name) || name.starts_with('.')
}

/// The migrations folder is looked at whole, as a stray file in it is an offence of its own.
fn is_looked_at(path: &str) -> bool {
    let kinds = [".rs", ".sql", ".md"];
    kinds.iter().any(|kind| path.ends_with(kind)) || path.starts_with("migrations/")
}

#[test]
fn a_file_that_does_not_lex_is_an_offence() {
    let broken = ("jasper/src/message/kind.rs", "//! Broken.\n\nfn f() {\n");
    super::assert_offence(&[broken], "cannot be read as Rust");
}
