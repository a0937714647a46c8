//! What the compiler says to mistakes, and what it lets pass.
//!
//! Each module of a file below `wrong` is a mistake that is made, each of a file below
//! `right` a program as it is written. Many of them are in one file, so that the compiler
//! reads jasper once for all of them. The texts belong to the compiler that `rust-toolchain.toml`
//! pins: after raising it, run with `TRYBUILD=overwrite`, and read every text that has changed as a
//! newcomer would.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::table::{Case, cases_of, errors_of};

/// The mistakes alone: `trybuild` then leaves all of them to one call of Cargo, and builds the
/// dependencies only as far as a check needs them.
#[test]
fn mistakes_are_reported_in_words() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("wrong/*.rs");
}

/// Of what the texts hold, which the test above compares with what the compiler says.
#[test]
fn a_mistake_is_one_error() {
    let mut offences = Vec::new();
    for file in files_of(Path::new("wrong")).into_iter().filter(|file| is_rust(file)) {
        let texts = fs::read_to_string(file.with_extension("stderr")).unwrap_or_default();
        let errors = errors_of(&texts);
        for case in wrong_cases(&file) {
            let found = errors.iter().filter(|line| case.lines.contains(line)).count();
            if found != case.errors {
                let place = format!("{}:{}", file.display(), case.lines.start());
                offences.push(format!("{place}: `{}` has {found} errors", case.name));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_table_is_large() {
    let wrong: usize = files_of(Path::new("wrong"))
        .into_iter()
        .filter(|file| is_rust(file))
        .map(|file| wrong_cases(&file).len())
        .sum();
    let right: usize =
        files_of(Path::new("right")).into_iter().map(|file| cases_of(&source(&file)).len()).sum();
    assert!(wrong >= 150 && right >= 80, "{wrong} mistakes and {right} programs");
}

/// Cargo has built these as programs of this package, so that they have compiled.
#[test]
fn what_is_right_compiles_and_runs() {
    let cases = right_files();
    assert!(!cases.is_empty(), "there is no case");
    for case in cases {
        let name = program_of(&case);
        let target = format!("name = \"{name}\"\npath = \"{}\"\n", case.display());
        let manifest = include_str!("Cargo.toml");
        assert!(manifest.contains(&target), "tests/ui/Cargo.toml has no `[[bin]]` with:\n{target}");
        let program = Path::new(env!("CARGO_BIN_EXE_right-calls")).with_file_name(name);
        let output = Command::new(&program)
            .output()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} fails:\n{errors}", case.display());
    }
}

/// A file without modules is one case.
fn wrong_cases(file: &Path) -> Vec<Case> {
    let source = source(file);
    let cases = cases_of(&source);
    if cases.is_empty() {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return vec![Case { name, lines: 1..=source.lines().count(), errors: 1 }];
    }
    cases
}

/// `*/pass/*.rs` and `right/*.rs`, in order.
fn right_files() -> Vec<PathBuf> {
    let folders = ["handler/pass", "message/pass", "routing/pass", "right"];
    folders.iter().flat_map(|folder| files_of(Path::new(folder))).collect()
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

fn source(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// `pass-handler-share` for `handler/pass/share.rs`, `right-calls` for `right/calls.rs`.
fn program_of(case: &Path) -> String {
    let mut parts = case.components().map(|part| part.as_os_str().to_string_lossy());
    let stem = case.file_stem().unwrap_or_default().to_string_lossy();
    match parts.next().unwrap_or_default() {
        folder if folder == "right" => format!("right-{stem}"),
        subject => format!("pass-{subject}-{stem}"),
    }
}
