//! The house rules, run as a test: the repository's own source is read and every offence is listed
//! with its place and with what to do instead.
//!
//! The rules are in `tidy/`, one file for each subject, each with a test that shows it an offence.

#[path = "tidy/mod.rs"]
mod rules;

use rules::Repository;

#[test]
fn the_repository_keeps_the_house_rules() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let repository = Repository::read(root.as_ref()).expect("the repository can be read");
    assert!(repository.files.len() > 20, "the scanner found too few files to be believed");

    for note in rules::notes(&repository) {
        println!("note: {note}");
    }
    let offences = rules::offences(&repository);
    let list: String = offences.iter().map(|offence| format!("  {offence}\n")).collect();
    assert!(offences.is_empty(), "{} offences against the house rules:\n{list}", offences.len());
}
