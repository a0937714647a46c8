//! What the compiler says to mistakes, and what it lets pass.
//!
//! Each case below `ui/` is one rule. The texts belong to the compiler that `rust-toolchain.toml`
//! pins: after raising it, run with `TRYBUILD=overwrite`, and read every text that has changed as a
//! newcomer would.

#[test]
fn mistakes_are_reported_once_and_in_words() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/*/pass/*.rs");
    cases.compile_fail("ui/*/fail/*.rs");
}
