//! No two files of the library use each other, directly or by a detour.
//!
//! A file uses another one where it names something in it, or something that it hands on: who takes
//! an item from a re-export depends on the file with the re-export. Code under `#[cfg(test)]` may
//! use whatever it tests.

use std::collections::{BTreeMap, BTreeSet};

use super::Offence;
use super::layers::{module_of, test_modules, uses};
use super::repository::{Repository, SourceFile};

/// The crates that are looked at, by the folders of their sources.
const SOURCES: [&str; 2] = ["jasper/src/", "jasper-macros/src/"];

type Module = Vec<String>;

pub fn check(repository: &Repository, found: &mut Vec<Offence>) {
    for source in SOURCES {
        let graph = Graph::of(repository, source);
        for (module, uses) in &graph.uses {
            // One offence for each circle, at the first of its files.
            let circle = graph.circle(module);
            if circle.first() != Some(&module) {
                continue;
            }
            let others: Vec<&str> = circle.iter().map(|member| graph.files[*member]).collect();
            let line = circle.iter().filter_map(|member| uses.get(*member)).min().copied();
            let message = format!(
                "these files use each other: {}; move what both need into a file of its own, or \
                 pass it as a value or a trait",
                others.join(", ")
            );
            found.push(Offence::new(graph.files[module], line.unwrap_or(1), message));
        }
    }
}

/// Which file uses which, and in which line first.
struct Graph<'r> {
    files: BTreeMap<Module, &'r str>,
    uses: BTreeMap<Module, BTreeMap<Module, usize>>,
}

impl<'r> Graph<'r> {
    fn of(repository: &'r Repository, source: &str) -> Self {
        let in_source = |file: &&SourceFile| file.path.starts_with(source);
        let all: Vec<(Module, &SourceFile)> = repository
            .files
            .iter()
            .filter(in_source)
            .filter_map(|file| Some((module_of(&file.path, source)?, file)))
            .collect();
        let tests: Vec<Module> =
            all.iter().flat_map(|(module, file)| test_modules(file, module)).collect();
        let is_test = |module: &Module| tests.iter().any(|test| module.starts_with(test));
        let files: BTreeMap<Module, &str> =
            all.iter().map(|(module, file)| (module.clone(), &*file.path)).collect();
        let mut graph = Self { files, uses: BTreeMap::new() };
        for (module, file) in all.iter().filter(|(module, _)| !is_test(module)) {
            let mut used = BTreeMap::new();
            for path in uses(&file.tokens, module) {
                // What a macro of ours names in the user's crate is no use by this file.
                let target = (!path.is_exported).then(|| graph.file_of(&path.path)).flatten();
                if let Some(target) = target.filter(|target| target != module) {
                    used.entry(target).or_insert(path.line);
                }
            }
            graph.uses.insert(module.clone(), used);
        }
        graph
    }

    /// The file that a path leads to: that of its longest beginning which is a module. The root of
    /// the crate is none: it joins the parts, and exported macros are named by it.
    fn file_of(&self, path: &[String]) -> Option<Module> {
        let beginnings = (1..=path.len()).rev().map(|length| path[..length].to_vec());
        beginnings.into_iter().find(|beginning| self.files.contains_key(beginning))
    }

    /// The files in a circle with this one, in their order; none where it is in no circle.
    fn circle<'g>(&'g self, module: &'g Module) -> Vec<&'g Module> {
        let there = self.reached(module);
        let both = there.into_iter().filter(|other| self.reached(other).contains(module));
        both.collect()
    }

    /// All that this one uses, and what those use, and so on.
    fn reached<'g>(&'g self, module: &Module) -> BTreeSet<&'g Module> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Module> =
            self.uses.get(module).into_iter().flat_map(BTreeMap::keys).collect();
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(self.uses.get(module).into_iter().flat_map(BTreeMap::keys));
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::{assert_clean, assert_offence};

    const PARENT: (&str, &str) = (
        "jasper/src/store/mod.rs",
        "//! The store.\n\nmod inbox;\nmod outbox;\nmod record;\n\npub use self::inbox::Inbox;\n",
    );

    fn file(name: &str, body: &str) -> (String, String) {
        (format!("jasper/src/store/{name}.rs"), format!("//! A snippet.\n\n{body}\n"))
    }

    /// These files, and their parent.
    fn store(files: &[(String, String)]) -> Vec<(&str, &str)> {
        let files = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        [PARENT].into_iter().chain(files).collect()
    }

    #[test]
    fn two_files_that_use_each_other_are_an_offence() {
        let inbox = file("inbox", "use super::outbox::Outbox;");
        let outbox = file("outbox", "fn f() -> crate::store::inbox::Inbox { g() }");
        let expected = "store/inbox.rs:3: these files use each other: jasper/src/store/inbox.rs, \
                        jasper/src/store/outbox.rs;";
        assert_offence(&store(&[inbox.clone(), outbox]), expected);
        let (outbox, record) = (file("outbox", "use super::record::Record;"), file("record", ""));
        assert_clean(&store(&[inbox, outbox, record]));
    }

    #[test]
    fn a_detour_is_seen() {
        let files = [
            file("inbox", "use super::outbox::Outbox;"),
            file("outbox", "use super::record::{Record, Row};"),
            file("record", "fn f() { super::inbox::g() }"),
        ];
        assert_offence(&store(&files), "inbox.rs, jasper/src/store/outbox.rs, jasper/src/store/r");
    }

    #[test]
    fn a_reexport_is_taken_from_the_file_that_has_it() {
        let through_parent = file("inbox", "use super::Record;");
        assert_offence(&store(&[through_parent]), "store/mod.rs:7: these files use each other");
        let directly = file("inbox", "use super::record::Record;");
        assert_clean(&store(&[directly, file("record", "")]));
    }

    #[test]
    fn an_adapter_may_use_the_port_that_declares_it() {
        let port =
            ("jasper/src/store/mod.rs", "//! The port.\n\npub mod memory;\npub trait Inbox {}\n");
        let adapter = ("jasper/src/store/memory/mod.rs", "//! In memory.\n\nuse super::Inbox;\n");
        assert_clean(&[port, adapter]);
    }

    #[test]
    fn tests_and_visibilities_are_no_uses() {
        let test = file("inbox", "#[cfg(test)]\nmod tests { use super::super::*; }");
        assert_clean(&store(&[test]));
        assert_clean(&store(&[file("inbox", "pub(in super::super) fn f() {}")]));
        let inner = file("inbox", "mod sealed { impl Sealed for super::Inbox {} }");
        assert_clean(&store(&[inner]));
        let exported = "macro_rules! m { () => { $crate::store::f() } }";
        assert_clean(&store(&[file("inbox", exported)]));
    }

    #[test]
    fn the_macros_are_held_to_it_too() {
        let args = ("jasper-macros/src/args.rs", "//! Arguments.\n\nuse crate::model::Model;\n");
        let model = ("jasper-macros/src/model.rs", "//! The model.\n\nuse crate::args::Args;\n");
        assert_offence(&[args, model], "jasper-macros/src/args.rs:3: these files use each other");
    }
}
