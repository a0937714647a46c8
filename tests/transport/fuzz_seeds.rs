//! What fuzzers have found worth keeping, read again with every run of the tests, and changed at
//! random. `CONTRIBUTING.md` says how to let the fuzzers themselves at the readers.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::testing::fuzz;
use tests::Seed;

/// How many changed inputs each reader is given.
const CHANGED: usize = 200_000;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    // In the order of their bytes, so that a seed of the randomness repeats a run.
    seeds.sort_unstable();
    assert!(seeds.len() > 20, "{} has only {}", folder.display(), seeds.len());
    seeds
}

/// One of them with some bytes changed, cut, or put together with another.
fn changed(seeds: &[Vec<u8>], seed: &mut Seed) -> Vec<u8> {
    let pick = |seed: &mut Seed| &seeds[seed.number() as usize % seeds.len()];
    let mut bytes = pick(seed).clone();
    for _ in 0..=seed.number() % 4 {
        let length = bytes.len() as u64;
        match seed.number() % 4 {
            _ if length == 0 => bytes.extend(pick(seed)),
            0 => bytes[(seed.number() % length) as usize] = seed.number() as u8,
            1 => bytes.truncate((seed.number() % length) as usize),
            2 => bytes.insert((seed.number() % length) as usize, seed.number() as u8),
            _ => bytes.extend(pick(seed)),
        }
    }
    bytes
}

fn replay(target: &str, read: fn(&[u8])) {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let seeds = seeds(target);
    seeds.iter().for_each(|bytes| read(bytes));
    for _ in 0..CHANGED {
        read(&changed(&seeds, &mut seed));
    }
}

#[test]
fn frames_are_read_or_refused() {
    replay("frame", fuzz::frame);
}

#[test]
fn envelopes_are_read_or_refused() {
    replay("envelope", fuzz::envelope);
}

#[test]
fn an_envelope_is_what_the_seeds_are_about() {
    let destination: Address = "endpoint://shipping".parse().unwrap();
    let payload = Bytes::from_static(b"{}");
    let envelope = Envelope::new(
        MessageType::new("orders.place-order", 1),
        "application/json",
        payload,
        destination,
    );
    fuzz::envelope(&envelope.to_bytes());
    let readable = |bytes: &Vec<u8>| Envelope::from_bytes(&Bytes::copy_from_slice(bytes)).is_ok();
    assert!(seeds("envelope").iter().any(readable), "no seed is an envelope");
}
