//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;

pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) url: String,
    pub(crate) lease: Duration,
    pub(crate) seed: u64,
    /// Transfers are numbered from after this, so that several nodes can send.
    pub(crate) after: i64,
    /// How many transfers are sent in a second, if not as many as can be.
    pub(crate) rate: Option<u32>,
    /// How many messages are sent whose handler harms its own transaction.
    pub(crate) harms: i64,
    /// Where the ids of accepted transfers are kept.
    pub(crate) accepted: Option<PathBuf>,
}

pub(crate) enum Command {
    Setup,
    Serve,
    Send { count: i64 },
    Check,
    Watch,
}

const USAGE: &str = "usage: bank setup|serve|send|check|watch URL [COUNT] \
                     [--lease MS] [--seed N] [--after ID] [--rate N] \
                     [--harms N] [--accepted FILE]";

impl Arguments {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut next = || words.next().ok_or(USAGE);
        let (command, url) = (next()?, next()?);
        let command = match command.as_str() {
            "setup" => Command::Setup,
            "serve" => Command::Serve,
            "send" => Command::Send { count: next()?.parse()? },
            "check" => Command::Check,
            "watch" => Command::Watch,
            _ => return Err(USAGE.into()),
        };
        let mut read = Self {
            command,
            url,
            lease: LEASE,
            seed: 1,
            after: 0,
            rate: None,
            harms: 0,
            accepted: None,
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            match option.as_str() {
                "--lease" => read.lease = Duration::from_millis(value.parse()?),
                "--seed" => read.seed = value.parse()?,
                "--after" => read.after = value.parse()?,
                "--rate" => read.rate = Some(value.parse()?),
                "--harms" => read.harms = value.parse()?,
                "--accepted" => read.accepted = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }
}

const LEASE: Duration = Duration::from_secs(10);
