//! The table of defaults says what the code does.

use std::time::Duration;

use super::outbound::options::SendOptions;
use super::send::routed::DEDUPLICATION_WINDOW;
use super::start::settings::Settings;
use crate::envelope::{MAX_FIELD_BYTES, MAX_HEADER_BYTES, MAX_HEADERS};
use crate::error_policy::{ErrorPolicy, Verdict};
use crate::error_text;
use crate::transport::{EndpointUri, Mode};

const TABLE: &str = include_str!("../docs/defaults.md");

/// What stands in the second column of the row of this name.
fn documented(name: &str) -> &'static str {
    let row = TABLE.lines().find(|line| line.starts_with(&format!("| {name} |")));
    let row = row.unwrap_or_else(|| panic!("the table has no row `{name}`"));
    row.split('|').nth(2).map(str::trim).expect("each row has a second column")
}

fn time(time: Duration) -> String {
    match time.as_secs() {
        0 => "0 s".to_owned(),
        seconds if seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

fn bytes(bytes: usize) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

/// With commas between thousands.
fn number(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}

#[test]
fn the_table_says_the_numbers_of_an_application() {
    let of = Settings::default();
    for (name, value) in [
        ("name of the service", format!("`{}`", of.service)),
        ("longest run of a handler", time(of.timeouts.handler)),
        ("messages of a queue in memory", number(of.memory.queue_capacity)),
        ("bytes of messages in memory", bytes(of.memory.budget)),
        ("wait of `invoke` for a reply", time(of.timeouts.reply)),
        ("wait of a stop for running handlers", time(of.timeouts.drain)),
        ("lease of a node", time(of.lease)),
        ("wait of a message of a type that no node knows", time(of.unhandled_timeout)),
        ("repeats under a deduplication key are dropped for", time(DEDUPLICATION_WINDOW)),
        ("what a start does with the tables of the store", format!("`{:?}`", of.provisioning)),
        ("whether any queue runs here", if of.send_only { "no" } else { "yes" }.to_owned()),
    ] {
        assert_eq!(documented(name), value, "{name}");
    }
    let look = documented("look into the store, where nothing notifies");
    assert!(look.starts_with(&format!("{},", time(of.poll))), "{look}");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    assert_eq!(of.concurrency, cores.max(5));
    let concurrency = documented("messages of a queue handled at once");
    assert!(concurrency.starts_with("the cores, at least 5;"), "{concurrency}");
}

#[test]
fn the_table_says_the_attempts_and_the_delays_of_a_message() {
    let policy = ErrorPolicy::default();
    assert_eq!(documented("attempts of a message"), policy.attempts().to_string());
    let delays = (1..policy.attempts()).filter_map(|attempt| match policy.verdict(attempt) {
        Verdict::RetryAfter(delay) => Some(time(delay)),
        _ => None,
    });
    let delays = delays.collect::<Vec<_>>().join(", ");
    assert_eq!(documented("delays before the last attempts"), delays);
}

#[test]
fn the_table_says_the_options_of_an_endpoint() {
    let taken = |mode| {
        let mut uri: EndpointUri = "durable://host:1".parse().expect("it is an address");
        SendOptions::take(&mut uri, mode).expect("it has no options")
    };
    let (durable, buffered) = (taken(Mode::Durable), taken(Mode::Buffered));
    let (few, many) = (number(durable.capacity), number(buffered.capacity));
    assert_eq!(documented("`capacity`"), format!("{few} for durable, {many} for others"));
    assert_eq!(documented("`batch`"), number(durable.batch));
    assert_eq!(documented("`linger`"), time(durable.linger));
    assert_eq!(documented("`order`"), if durable.ordered { "`strict`" } else { "`none`" });
}

#[test]
fn the_table_says_the_limits_of_a_message() {
    assert_eq!(documented("headers"), MAX_HEADERS.to_string());
    assert_eq!(documented("bytes of all headers together"), bytes(MAX_HEADER_BYTES));
    assert_eq!(documented("bytes of another text of the envelope"), bytes(MAX_FIELD_BYTES));
    let text = documented("bytes of the error's text in a dead letter");
    assert_eq!(text, bytes(error_text::LONGEST));
}
