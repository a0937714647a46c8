//! The order of the layers, held against every path that a file of the library names.
//!
//! A module uses only modules of earlier layers, so it looks neither up nor sideways. Adapters, the
//! folders inside `store/` and `transport/`, stand on the ports and know nothing beside them but
//! what several of them share ([`SHARED`]), which is between them and the ports. Free are code
//! under `#[cfg(test)]` and what joins the parts: `lib.rs`, the prelude, the test kit and the
//! command line.

use std::collections::BTreeSet;

use super::Offence;
use super::repository::{Repository, SourceFile};
use super::tokens::Token;

/// `telemetry` holds names only, `source_error` one type and `error_text` what cuts texts, so every
/// layer may use them; `error` is what starting an application can fail with, so it may look at all
/// that the runtime is built from.
const LAYERS: [&[&str]; 8] = [
    &["error_text", "source_error", "telemetry"],
    &["caught", "message"],
    &["envelope", "codec"],
    &["store", "transport", "error_policy"],
    &["routing"],
    &["handler"],
    &["error"],
    &["runtime"],
];
const PORTS: usize = 3;
const SOURCE: &str = "jasper/src/";
/// May use everything, and only `lib.rs` and its like may use them.
const OPEN: [&str; 5] = ["prelude", "testing", "guide", "cli", "main"];
const WITH_ADAPTERS: [&str; 2] = ["store", "transport"];
/// Folders beside the adapters with what several of them have in common.
const SHARED: [&str; 1] = ["store/sql"];

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The root of the crate, and the modules of [`OPEN`].
    Open(String),
    Layer(usize, String),
    Shared(String),
    Adapter(String),
    Unknown(String),
}

/// A path as it stands in the source, resolved from the root of the crate.
#[derive(Debug, PartialEq, Eq)]
pub struct Use {
    pub path: Vec<String>,
    pub line: usize,
    is_macro: bool,
    /// Starts with `$crate`: written for the user's crate, where the public face is the right one.
    pub is_exported: bool,
}

pub fn check(repository: &Repository, found: &mut Vec<Offence>) {
    let adapters = adapters(repository);
    let test_modules: Vec<Vec<String>> = repository
        .files
        .iter()
        .filter_map(|file| Some(test_modules(file, &module_of(&file.path, SOURCE)?)))
        .flatten()
        .collect();
    for file in &repository.files {
        let Some(module) = module_of(&file.path, SOURCE) else {
            continue;
        };
        if test_modules.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let from = place(&module, &adapters);
        if let Place::Unknown(name) = &from {
            let message = format!("`{name}` has no layer: give it one in tests/tidy/layers.rs");
            found.push(Offence::new(&file.path, 1, message));
            continue;
        }
        for used in uses(&file.tokens, &module) {
            if let Some(message) = refusal(&from, &place(&used.path, &adapters), &used) {
                found.push(Offence::new(&file.path, used.line, message));
            }
        }
    }
}

/// `store/sqlite` for each folder inside the folder of a port.
fn adapters(repository: &Repository) -> BTreeSet<String> {
    let modules = repository.files.iter().filter_map(|file| {
        let inside = file.path.strip_prefix(SOURCE)?;
        let mut parts = inside.split('/');
        let (port, adapter, _file) = (parts.next()?, parts.next()?, parts.next()?);
        let folder = format!("{port}/{adapter}");
        (WITH_ADAPTERS.contains(&port) && !SHARED.contains(&&*folder)).then_some(folder)
    });
    modules.collect()
}

/// The module that a file of this folder of sources is.
pub fn module_of(path: &str, source: &str) -> Option<Vec<String>> {
    let inside = path.strip_prefix(source)?.strip_suffix(".rs")?;
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    if inside == "lib" {
        return Some(Vec::new());
    }
    Some(inside.split('/').map(str::to_owned).collect())
}

fn place(path: &[String], adapters: &BTreeSet<String>) -> Place {
    let Some(first) = path.first() else {
        return Place::Open("the crate root".to_owned());
    };
    if OPEN.contains(&first.as_str()) {
        return Place::Open(format!("`{first}`"));
    }
    if let Some(second) = path.get(1) {
        let folder = format!("{first}/{second}");
        if SHARED.contains(&folder.as_str()) {
            return Place::Shared(folder);
        }
        if adapters.contains(&folder) {
            return Place::Adapter(folder);
        }
    }
    match LAYERS.iter().position(|layer| layer.contains(&first.as_str())) {
        Some(layer) => Place::Layer(layer, first.clone()),
        None => Place::Unknown(first.clone()),
    }
}

/// Why this use is an offence, and what to do instead.
fn refusal(from: &Place, to: &Place, used: &Use) -> Option<String> {
    let (height, name) = match from {
        Place::Open(_) | Place::Unknown(_) => return None,
        Place::Layer(height, name) => (*height, name),
        // One above the ports, so that they may use those and all below.
        Place::Shared(name) | Place::Adapter(name) => (PORTS + 1, name),
    };
    match to {
        _ if to == from => None,
        Place::Layer(below, _) if *below < height => None,
        Place::Layer(_, other) => Some(format!(
            "`{name}` uses `{other}`, which is not below it: move the type down, or turn the call \
             round with a trait"
        )),
        Place::Shared(_) if matches!(from, Place::Adapter(_)) => None,
        Place::Shared(other) => {
            Some(format!("`{name}` uses `{other}`, which is for adapters: go through the port"))
        }
        Place::Adapter(other) => Some(format!(
            "`{name}` uses the adapter `{other}`: go through its port, and let the facade join them"
        )),
        Place::Open(other) if !used.path.is_empty() => {
            Some(format!("`{name}` uses {other}, which is above all layers: move the type down"))
        }
        Place::Open(_) => None,
        // An exported macro lives at the root, wherever it was written.
        Place::Unknown(_) if used.is_macro || used.is_exported => None,
        Place::Unknown(item) => Some(format!(
            "`{name}` takes `{item}` from the crate root: name the module that owns it"
        )),
    }
}

/// Every path outside tests that starts at the root, at a parent, or at a module declared here.
pub fn uses(tokens: &[Token], file_module: &[String]) -> Vec<Use> {
    let mut found = Vec::new();
    for_each_with_module(tokens, file_module, |at, module| {
        let token = &tokens[at];
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text.as_str());
        let is_start = tokens.get(at + 1).is_some_and(|next| next.is("::")) && before != "::";
        if token.is_test || !token.is_word || !is_start || is_visibility(tokens, at) {
            return;
        }
        let names_child = || declares(tokens, &token.text) && module == file_module;
        if ["crate", "super", "self"].contains(&token.text.as_str()) || names_child() {
            let start = Use {
                path: module.to_vec(),
                line: token.line,
                is_macro: false,
                is_exported: before == "$",
            };
            follow(tokens, at, start, &mut found);
        }
    });
    found
}

/// The modules that this file declares for tests only.
pub fn test_modules(file: &SourceFile, file_module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for_each_with_module(&file.tokens, file_module, |at, module| {
        if file.tokens[at].is("mod") && file.tokens[at].is_test {
            let name = file.tokens[at + 1].text.clone();
            found.push(module.iter().cloned().chain([name]).collect());
        }
    });
    found
}

/// Calls `visit` with each token and the module that it stands in.
fn for_each_with_module(
    tokens: &[Token],
    file_module: &[String],
    mut visit: impl FnMut(usize, &[String]),
) {
    let mut module = file_module.to_vec();
    let mut closings = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if closings.last() == Some(&at) {
            closings.pop();
            module.pop();
        }
        visit(at, &module);
        if token.is("{") && at >= 2 && tokens[at - 2].is("mod") {
            closings.push(token.end);
            module.push(tokens[at - 1].text.clone());
        }
    }
}

fn declares(tokens: &[Token], name: &str) -> bool {
    tokens.windows(3).any(|w| w[0].is("mod") && w[1].is(name) && (w[2].is(";") || w[2].is("{")))
}

/// `pub(in super::super)` says who may look in, and uses nothing.
fn is_visibility(tokens: &[Token], at: usize) -> bool {
    at >= 3 && tokens[at - 1].is("in") && tokens[at - 2].is("(") && tokens[at - 3].is("pub")
}

/// Walks one path from its first word, and every branch of a `{…}` in it.
fn follow(tokens: &[Token], at: usize, mut used: Use, found: &mut Vec<Use>) {
    let token = &tokens[at];
    if token.is("{") {
        let mut branch = at + 1;
        while branch < token.end {
            let Use { is_macro, is_exported, .. } = used;
            let (path, line) = (used.path.clone(), tokens[branch].line);
            follow(tokens, branch, Use { path, line, is_macro, is_exported }, found);
            while branch < token.end && !tokens[branch].is(",") {
                branch = tokens[branch].end + 1;
            }
            branch += 1;
        }
        return;
    }
    match token.text.as_str() {
        "crate" => used.path.clear(),
        "super" => drop(used.path.pop()),
        "self" => {}
        _ if token.is_word => used.path.push(token.text.clone()),
        // A glob, or the `<` of a turbofish.
        _ => return found.push(used),
    }
    let next = |text: &str| tokens.get(at + 1).is_some_and(|token| token.is(text));
    if next("::") && at + 2 < tokens.len() {
        return follow(tokens, at + 2, used, found);
    }
    used.is_macro = next("!");
    found.push(used);
}

#[cfg(test)]
mod tests;
