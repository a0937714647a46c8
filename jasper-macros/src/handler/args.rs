//! What `#[handler(…)]` and `#[durable(…)]` say.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use syn::{LitStr, Path};

use crate::attribute::Attribute;
use crate::diagnostics::Diagnostics;
use crate::value;

/// The keys as the user gave them.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) queue: Option<LitStr>,
    pub(super) concurrency: Option<usize>,
    pub(super) attempts: Option<u32>,
    pub(super) delays: Option<Vec<Duration>>,
    pub(super) timeout: Option<Duration>,
    /// `crate = …`: where jasper is found.
    pub(super) root: Option<Path>,
    /// The key `attempts` itself, for the rules that hold between keys.
    pub(super) attempts_key: Option<Ident>,
}

/// What `#[durable(…)]` says.
#[derive(Debug, Default)]
pub(super) struct DurableArgs {
    pub(super) share: Option<u32>,
    /// The key `share` itself.
    pub(super) share_key: Option<Ident>,
}

const HANDLER: Attribute = Attribute {
    name: "#[handler]",
    words: &[],
    keys: &["queue", "concurrency", "attempts", "delays", "timeout", "crate"],
    instead: &[
        ("durable", "write `#[durable]` beside `#[handler]`"),
        ("share", "write `#[durable(share = 50)]` beside `#[handler]`"),
        ("retries", "write `attempts = 5`, the first one included"),
        ("parallelism", "write `concurrency = 4`"),
        ("name", "a handler has the name of its function; `queue = \"…\"` names its queue"),
        ("reply", "it stands at the message: `#[command(reply = …)]`"),
        ("to", "it stands at the message: `#[command(to = \"…\")]`"),
    ],
};

const IN_HANDLER: &str = "it stands in `#[handler(…)]`";

const DURABLE: Attribute = Attribute {
    name: "#[durable]",
    words: &[],
    keys: &["share"],
    instead: &[
        ("queue", IN_HANDLER),
        ("concurrency", IN_HANDLER),
        ("attempts", IN_HANDLER),
        ("delays", IN_HANDLER),
        ("timeout", IN_HANDLER),
        ("crate", IN_HANDLER),
    ],
};

impl Args {
    /// Reads what stands in the parentheses of `#[handler(…)]`.
    pub(super) fn read(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        let mut seen = Vec::new();
        HANDLER.read(tokens, &mut seen, diagnostics, |key, input| {
            match key {
                "queue" => args.queue = Some(value::text(key, "emails", input)?),
                "concurrency" => args.concurrency = Some(value::count(key, input)?),
                "attempts" => args.attempts = Some(value::count(key, input)?),
                "delays" => args.delays = Some(value::durations(key, input)?),
                "timeout" => args.timeout = Some(value::duration(key, input)?),
                _ => args.root = Some(value::path(key, input)?),
            }
            Ok(())
        });
        args.attempts_key = seen.into_iter().find(|key| key == "attempts");
        args
    }
}

impl DurableArgs {
    /// Reads what stands in the parentheses of `#[durable(…)]`.
    pub(super) fn read(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        let mut seen = Vec::new();
        DURABLE.read(tokens, &mut seen, diagnostics, |key, input| {
            args.share = Some(value::count(key, input)?);
            Ok(())
        });
        args.share_key = seen.pop();
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_documented_with_its_default() {
        HANDLER.assert_documented("handler");
        DURABLE.assert_documented("durable");
    }
}
