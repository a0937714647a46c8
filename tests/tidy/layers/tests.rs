//! Offences against the order of the layers, and their lawful neighbours.

use crate::rules::{assert_clean, assert_offence};

/// One file of the library with this body, among others that make the adapters known.
#[track_caller]
fn assert_refused(path: &str, body: &str, expected: &str) {
    let text = format!("//! A snippet.\n\n{body}\n");
    let path = format!("jasper/src/{path}");
    assert_offence(&[ADAPTERS.as_slice(), &[(&path, &text)]].concat(), expected);
}

#[track_caller]
fn assert_allowed(path: &str, body: &str) {
    let text = format!("//! A snippet.\n\n{body}\n");
    let path = format!("jasper/src/{path}");
    assert_clean(&[ADAPTERS.as_slice(), &[(&path, &text)]].concat());
}

const ADAPTERS: [(&str, &str); 3] = [
    ("jasper/src/store/memory/mod.rs", "//! Memory.\n"),
    ("jasper/src/store/sqlite/mod.rs", "//! SQLite.\n"),
    ("jasper/src/transport/local/mod.rs", "//! Local.\n"),
];

#[test]
fn a_layer_may_use_what_is_below_it() {
    assert_allowed("envelope/id.rs", "use crate::message::MessageType;");
    assert_allowed("store/inbox.rs", "use crate::envelope::{Address, Envelope};");
    assert_allowed("handler/context.rs", "use crate::{codec::Codec, store::Connection};");
    assert_allowed("handler/cascade.rs", "use crate::routing::Reaches;");
    assert_allowed("runtime/builder.rs", "fn f() -> Result<(), crate::error::Error> { g() }");
    assert_allowed("store/sqlite/inbox.rs", "use super::super::{Incoming, StoreError};");
    assert_allowed("store/record.rs", "use crate::telemetry::FENCED;");
}

#[test]
fn a_layer_may_not_use_what_is_above_it() {
    let path = "jasper/src/message/kind.rs:3: `message` uses `envelope`";
    assert_refused("message/kind.rs", "use crate::envelope::Envelope;", path);
    assert_refused("store/inbox.rs", "use crate::handler::Handler;", "`store` uses `handler`");
    assert_refused("handler/mod.rs", "use crate::runtime::Bus;", "`handler` uses `runtime`");
    assert_refused("telemetry.rs", "use crate::envelope::Envelope;", "`telemetry` uses");
    assert_refused("routing/mod.rs", "use crate::error::Error;", "`routing` uses `error`");
}

#[test]
fn a_layer_may_not_use_its_neighbour() {
    assert_refused("routing/mod.rs", "use crate::handler::State;", "`routing` uses `handler`");
    assert_refused("store/mod.rs", "use crate::transport::Sender;", "`store` uses `transport`");
    assert_refused("codec/json.rs", "use crate::envelope::Headers;", "`codec` uses `envelope`");
}

#[test]
fn every_form_of_a_path_is_seen() {
    let above = "`envelope` uses `runtime`";
    assert_refused("envelope/mod.rs", "fn f() { crate::runtime::start::<u8>() }", above);
    assert_refused("envelope/mod.rs", "use super::runtime::Bus;", above);
    assert_refused("envelope/id.rs", "use super::super::runtime::*;", above);
    assert_refused("envelope/id.rs", "use crate::{message::Message, runtime as r};", above);
    assert_refused("envelope/id.rs", "mod a { use super::super::super::runtime::Bus; }", above);
    assert_refused("envelope/id.rs", "fn f() { info!(x = crate::runtime::now()) }", above);
    assert_refused("envelope/id.rs", "macro_rules! m { () => { $crate::runtime::f() } }", above);
    assert_allowed("envelope/binary/mod.rs", "pub(in super::super) fn encode() {}");
}

#[test]
fn an_adapter_stands_on_the_ports_alone() {
    let inbox = "store/sqlite/inbox.rs";
    assert_refused(inbox, "use crate::handler::State;", "`store/sqlite` uses `handler`");
    assert_refused(inbox, "use crate::runtime::Clock;", "`store/sqlite` uses `runtime`");
    assert_refused(inbox, "use crate::store::memory::Row;", "the adapter `store/memory`");
    assert_refused(inbox, "use super::super::memory::Row;", "the adapter `store/memory`");
    assert_allowed(inbox, "use crate::transport::Sender;");
    assert_allowed("store/sqlite/inbox.rs", "use super::writer::Writer;");
}

#[test]
fn what_adapters_share_is_between_them_and_their_port() {
    assert_allowed("store/sqlite/inbox.rs", "use crate::store::sql::placement::Placed;");
    assert_allowed("store/sql/placement.rs", "use crate::store::Incoming;");
    assert_allowed("store/sql/mod.rs", "mod placement;\npub use placement::Placed;");
    let from_adapter = "`store/sql` uses the adapter `store/sqlite`";
    assert_refused("store/sql/mod.rs", "use crate::store::sqlite::SqliteStore;", from_adapter);
    let body = "use super::sql::placement::Placed;";
    assert_refused("store/inbox.rs", body, "`store` uses `store/sql`, which is for adapters");
}

#[test]
fn a_port_declares_its_adapters_and_uses_none() {
    assert_allowed(
        "store/mod.rs",
        "pub mod memory;\n#[cfg(feature = \"sqlite\")]\npub mod sqlite;",
    );
    let body = "mod memory;\npub use memory::MemoryStore;";
    assert_refused("store/mod.rs", body, "store/mod.rs:4: `store` uses the adapter `store/memory`");
    assert_refused("store/node.rs", "use super::sqlite::SqliteStore;", "adapter `store/sqlite`");
}

#[test]
fn the_runtime_knows_no_adapter() {
    let body = "use crate::transport::local::Queue;";
    assert_refused("runtime/bus.rs", body, "`runtime` uses the adapter `transport/local`");
}

#[test]
fn no_type_is_taken_from_the_facade() {
    assert_refused("store/inbox.rs", "use crate::Message;", "takes `Message` from the crate root");
    assert_refused("store/inbox.rs", "use crate::prelude::*;", "uses `prelude`, which is above");
    assert_refused("runtime/bus.rs", "use crate::testing::Signal;", "uses `testing`, which");
    assert_allowed("store/inbox.rs", "fn f() { crate::exported_macro!() }");
    assert_allowed("handler/mod.rs", "macro_rules! m { () => { $crate::__private::f() } }");
}

#[test]
fn what_joins_the_parts_may_use_all() {
    let body = "use crate::{runtime::Bus, store::memory::MemoryStore, Message};";
    for path in ["lib.rs", "prelude.rs", "testing/conformance/inbox.rs", "cli/check.rs"] {
        assert_allowed(path, body);
    }
}

#[test]
fn test_code_may_use_all() {
    let body = "#[cfg(test)]\nmod tests { use crate::runtime::Bus; }";
    assert_allowed("store/inbox.rs", body);
    let declaring = ("jasper/src/store/mod.rs", "//! Ports.\n\n#[cfg(test)]\nmod tests;\n");
    let tests = ("jasper/src/store/tests.rs", "//! Tests.\n\nuse crate::runtime::Bus;\n");
    assert_clean(&[declaring, tests]);
    assert_offence(&[tests], "`store` uses `runtime`");
}

#[test]
fn a_module_without_a_layer_is_an_offence() {
    assert_refused("gossip/mod.rs", "", "gossip/mod.rs:1: `gossip` has no layer");
}
