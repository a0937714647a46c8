//! What the compiler says to mistakes, and what it lets pass.
//!
//! Each case below `ui/` is one rule. The texts belong to the compiler that `rust-toolchain.toml`
//! pins: after raising it, run with `TRYBUILD=overwrite`, and read every text that has changed as a
//! newcomer would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The mistakes alone: `trybuild` then leaves all of them to one call of Cargo, and builds the
/// dependencies only as far as a check needs them.
#[test]
fn mistakes_are_reported_once_and_in_words() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*/fail/*.rs");
}

/// Cargo has built these as programs of this package, so that they have compiled.
#[test]
fn what_is_right_compiles_and_runs() {
    let cases = right_cases();
    assert!(!cases.is_empty(), "there is no case below `ui/`");
    for case in cases {
        let name = program_of(&case);
        let target = format!("name = \"{name}\"\npath = \"{}\"\n", case.display());
        let manifest = include_str!("Cargo.toml");
        assert!(manifest.contains(&target), "tests/Cargo.toml has no `[[bin]]` with:\n{target}");
        let program = Path::new(env!("CARGO_BIN_EXE_branch")).with_file_name(name);
        let output = Command::new(&program).output();
        let output = output.unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} fails:\n{errors}", case.display());
    }
}

/// `ui/*/pass/*.rs`, in order.
fn right_cases() -> Vec<PathBuf> {
    let folders = files_of(Path::new("ui")).into_iter().map(|folder| folder.join("pass"));
    let mut cases: Vec<_> = folders.flat_map(|folder| files_of(&folder)).collect();
    cases.sort();
    cases
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// `pass-handler-share` for `ui/handler/pass/share.rs`.
fn program_of(case: &Path) -> String {
    let mut parts = case.components().map(|part| part.as_os_str().to_string_lossy());
    let subject = parts.nth(1).unwrap_or_default();
    format!("pass-{subject}-{}", case.file_stem().unwrap_or_default().to_string_lossy())
}
