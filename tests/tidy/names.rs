//! Names of modules, of the files of adapters, and of migrations.

use std::collections::{BTreeMap, BTreeSet};

use super::Offence;
use super::repository::{Repository, SourceFile};
use super::tokens::reads;

/// Names that say nothing, so that everything ends up in them.
const EMPTY: [&str; 9] = [
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "miscellaneous",
];

pub fn check(file: &SourceFile, found: &mut Vec<Offence>) {
    let path = file.path.trim_end_matches(".rs");
    if file.path.ends_with(".rs")
        && let Some(name) = path.split('/').find(|part| EMPTY.contains(part))
    {
        found.push(Offence::new(&file.path, 1, empty_name(name)));
    }
    for at in 0..file.tokens.len() {
        let is_inline = reads(&file.tokens, at, &["mod"]) && reads(&file.tokens, at + 2, &["{"]);
        if is_inline && EMPTY.contains(&file.tokens[at + 1].text.as_str()) {
            let name = &file.tokens[at + 1];
            found.push(Offence::new(&file.path, name.line, empty_name(&name.text)));
        }
    }
}

fn empty_name(name: &str) -> String {
    format!("`{name}` says nothing: name the module after what is in it")
}

/// The files in which a store in a SQL database has its statements, and what belongs to each.
const SQL_STORE: [&str; 13] = [
    "admin",
    "completion",
    "dead_letters",
    "error",
    "inbox",
    "migrate",
    "nodes",
    "outbox",
    "plans",
    "rows",
    "settlement",
    "sql",
    "tables",
];

/// A reader of one store finds the way in the next: every store in a SQL database has the files of
/// [`SQL_STORE`], and for every file of the memory store one of the same name.
pub fn check_adapters(repository: &Repository, found: &mut Vec<Offence>) {
    let in_memory = parts(repository, "jasper/src/store/memory/");
    let expected: BTreeSet<&str> = in_memory.chain(SQL_STORE).collect();
    for store in sql_stores(repository) {
        let folder = format!("jasper/src/store/{store}/");
        let has: BTreeSet<&str> = parts(repository, &folder).collect();
        for part in expected.difference(&has) {
            let message =
                format!("store/{store} has no `{part}`: give all stores the same file names");
            found.push(Offence::new(&format!("{folder}mod.rs"), 1, message));
        }
    }
}

/// The stores with migrations.
fn sql_stores(repository: &Repository) -> BTreeSet<&str> {
    let folders = |inside: &'static str| {
        let files = repository.files.iter();
        let names = files.filter_map(|file| file.path.strip_prefix(inside)?.split_once('/'));
        names.map(|(name, _file)| name).collect::<BTreeSet<_>>()
    };
    folders("migrations/").intersection(&folders("jasper/src/store/")).copied().collect()
}

/// The parts of an adapter: `inbox` for `inbox.rs` and for `inbox/mod.rs`.
fn parts<'a>(repository: &'a Repository, folder: &'a str) -> impl Iterator<Item = &'a str> {
    repository.files.iter().filter_map(move |file| {
        let inside = file.path.strip_prefix(folder)?.strip_suffix(".rs")?;
        inside.split('/').next().filter(|part| !["mod", "tests"].contains(part))
    })
}

/// `migrations/<database>/NNNN_name.sql`, from 0001 on and without gaps.
pub fn check_migrations(repository: &Repository, found: &mut Vec<Offence>) {
    let mut databases: BTreeMap<&str, BTreeMap<u32, &SourceFile>> = BTreeMap::new();
    for file in &repository.files {
        let Some(inside) = file.path.strip_prefix("migrations/") else {
            continue;
        };
        let Some((database, number)) = migration(inside) else {
            let message = "not `migrations/<database>/NNNN_name.sql`: rename or move it";
            found.push(Offence::new(&file.path, 1, message));
            continue;
        };
        if databases.entry(database).or_default().insert(number, file).is_some() {
            let message = format!("a second migration {number:04}: give it the next free number");
            found.push(Offence::new(&file.path, 1, message));
        }
    }
    for migrations in databases.values() {
        for (expected, (&number, file)) in (1..).zip(migrations) {
            if number != expected {
                let message = format!("a gap: number it {expected:04}");
                found.push(Offence::new(&file.path, 1, message));
                break;
            }
        }
        check_usable_from(migrations, found);
    }
}

/// From the one on that makes the table for it, each says which builds may use what it leaves.
fn check_usable_from(migrations: &BTreeMap<u32, &SourceFile>, found: &mut Vec<Offence>) {
    let says = |file: &SourceFile| file.text.contains("usable_from");
    let silent = migrations.values().skip_while(|file| !says(file)).filter(|file| !says(file));
    for file in silent {
        let message = "sets no `usable_from`: say which builds may use the tables after it";
        found.push(Offence::new(&file.path, 1, message));
    }
}

fn migration(inside: &str) -> Option<(&str, u32)> {
    let (database, file) = inside.split_once('/')?;
    let (number, name) = file.strip_suffix(".sql")?.split_once('_')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_number = number.len() == 4 && number.chars().all(|c| c.is_ascii_digit());
    let is_valid = is_number && !name.is_empty() && name.chars().all(is_name);
    is_valid.then_some((database, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::{assert_clean, assert_offence};

    const HEADER: &str = "//! A snippet.\n";

    #[test]
    fn an_empty_name_is_an_offence() {
        assert_offence(&[("jasper/src/store/utils.rs", HEADER)], "utils.rs:1: `utils` says");
        assert_offence(&[("tests/common/mod.rs", HEADER)], "`common` says nothing");
        let inline = "//! A snippet.\n\nmod helpers {}\n";
        assert_offence(&[("jasper/src/store/inbox.rs", inline)], "inbox.rs:3: `helpers`");
        assert_clean(&[("jasper/src/store/inbox.rs", HEADER)]);
    }

    /// The files of a store in a SQL database, but for this one.
    fn store_without(name: &str, part: &str) -> Vec<String> {
        let parts = super::SQL_STORE.into_iter().filter(|other| *other != part);
        let files = parts.map(|part| format!("jasper/src/store/{name}/{part}.rs"));
        files.chain([format!("migrations/{name}/0001_messages.sql")]).collect()
    }

    fn with_header(paths: &[String]) -> Vec<(&str, &str)> {
        paths.iter().map(|path| (path.as_str(), HEADER)).collect()
    }

    #[test]
    fn every_store_in_a_sql_database_has_the_same_files() {
        for name in ["sqlite", "postgres", "mysql", "a_new_one"] {
            let whole = store_without(name, "");
            assert_clean(&with_header(&whole));
            for part in ["inbox", "settlement", "sql"] {
                let lacking = store_without(name, part);
                let expected = format!("store/{name} has no `{part}`");
                assert_offence(&with_header(&lacking), &expected);
            }
        }
    }

    #[test]
    fn the_memory_store_has_no_file_that_others_lack() {
        let memory = ("jasper/src/store/memory/inbox.rs", HEADER);
        assert_clean(&[memory]);
        let lacking = store_without("sqlite", "inbox");
        assert_offence(&[&with_header(&lacking)[..], &[memory]].concat(), "has no `inbox`");
        let beside = ("jasper/src/store/sqlite/inbox/mod.rs", HEADER);
        assert_clean(&[&with_header(&lacking)[..], &[memory, beside]].concat());
        let whole = store_without("mysql", "");
        let own = ("jasper/src/store/memory/clock.rs", HEADER);
        assert_offence(&[&with_header(&whole)[..], &[own]].concat(), "store/mysql has no `clock`");
        let writer = ("jasper/src/store/mysql/writer.rs", HEADER);
        assert_clean(&[&with_header(&whole)[..], &[writer]].concat());
    }

    #[test]
    fn a_migration_has_a_number_and_a_name() {
        assert_clean(&[("migrations/sqlite/0001_messages.sql", "")]);
        for wrong in ["1_a.sql", "0001_A.sql", "0001.sql", "0001_a.txt", "x/0001_a.sql"] {
            let path = format!("migrations/sqlite/{wrong}");
            assert_offence(&[(&path, "")], "rename or move it");
        }
        assert_offence(&[("migrations/0001_a.sql", "")], "rename or move it");
    }

    #[test]
    fn a_migration_says_who_may_use_the_tables() {
        let first = ("migrations/sqlite/0001_messages.sql", "");
        let says = "update jasper_schema set usable_from = 2";
        let second = ("migrations/sqlite/0002_nodes.sql", says);
        assert_clean(&[first, second, ("migrations/sqlite/0003_more.sql", says)]);
        let third = ("migrations/sqlite/0003_more.sql", "");
        assert_offence(&[first, second, third], "sets no `usable_from`");
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let first = ("migrations/sqlite/0001_messages.sql", "");
        assert_offence(&[first, ("migrations/sqlite/0003_nodes.sql", "")], "number it 0002");
        assert_offence(&[first, ("migrations/sqlite/0001_nodes.sql", "")], "a second migration");
        assert_clean(&[first, ("migrations/postgres/0001_messages.sql", "")]);
        assert_offence(&[("migrations/postgres/0002_nodes.sql", "")], "number it 0001");
    }
}
