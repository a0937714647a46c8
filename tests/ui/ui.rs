//! What the compiler says to mistakes, and what it lets pass.
//!
//! Each module of a file below `wrong` is a mistake that is made, each of a file below
//! `right` a piece of a program as it is written. Many mistakes are in one file, so that the
//! compiler reads jasper once for all of them, and what is right is two programs. The texts
//! belong to the compiler that `rust-toolchain.toml` pins: after raising it, run with
//! `TRYBUILD=overwrite`, and read every text that has changed as a newcomer would.

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
    let files_of = |folder| files_of(Path::new(folder)).into_iter().filter(|file| is_rust(file));
    let wrong: usize = files_of("wrong").map(|file| wrong_cases(&file).len()).sum();
    let right: usize = files_of("right").map(|file| cases_of(&source(&file)).len()).sum();
    assert!(wrong >= 150 && right >= 80, "{wrong} mistakes and {right} programs");
}

/// Cargo has built these programs, so that all their modules have compiled.
#[test]
fn what_is_right_compiles_and_runs() {
    for program in [env!("CARGO_BIN_EXE_right"), env!("CARGO_BIN_EXE_right-layout")] {
        let output = Command::new(program).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} fails:\n{errors}");
    }
}

/// A file that is no module of a program compiles whatever stands in it.
#[test]
fn each_file_of_what_is_right_is_part_of_a_program() {
    let main = source(Path::new("right/main.rs"));
    let modules = main.lines().filter_map(|line| line.trim().strip_prefix("pub mod "));
    let mut parts: Vec<_> = modules.filter_map(|name| name.strip_suffix(';')).collect();
    // The programs themselves.
    parts.extend(["layout", "main"]);
    let folders = ["right", "right/handler", "right/message", "right/routing"];
    let files = folders.iter().flat_map(|folder| files_of(Path::new(folder)));
    let files: Vec<_> = files.filter(|file| is_rust(file)).collect();
    let mut names: Vec<_> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    parts.sort_unstable();
    names.sort_unstable();
    assert_eq!(parts, names);
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
