//! What `#[command(…)]` and `#[event(…)]` say.

use std::time::Duration;

use syn::{LitStr, Meta, Type};

use super::model::Flavor;
use crate::attribute::Attribute;
use crate::diagnostics::Diagnostics;
use crate::value;

/// The keys as the user gave them.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) name: Option<LitStr>,
    pub(super) version: Option<u16>,
    pub(super) to: Option<LitStr>,
    pub(super) reply: Option<Type>,
    pub(super) deliver_within: Option<Duration>,
}

const COMMAND: Attribute =
    Attribute { name: "#[command]", keys: &["name", "version", "to", "reply", "deliver_within"] };

const EVENT: Attribute =
    Attribute { name: "#[event]", keys: &["name", "version", "deliver_within"] };

impl Args {
    /// Reads all `#[command(…)]` or `#[event(…)]` of the item as one list.
    pub(super) fn read(
        flavor: Flavor,
        attributes: &[syn::Attribute],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let (attribute, word) = match flavor {
            Flavor::Command => (COMMAND, "command"),
            Flavor::Event => (EVENT, "event"),
        };
        let mut args = Self::default();
        let mut seen = Vec::new();
        for found in attributes.iter().filter(|found| found.path().is_ident(word)) {
            let Meta::List(list) = &found.meta else {
                let message = format!("`{word}` takes a list: `#[{word}(name = \"…\")]`");
                diagnostics.at(found, message);
                continue;
            };
            attribute.read(list.tokens.clone(), &mut seen, diagnostics, |key, input| {
                match key {
                    "name" => args.name = Some(value::text(key, "orders.place-order", input)?),
                    "version" => args.version = Some(value::count(key, input)?),
                    "to" => args.to = Some(value::text(key, "shipping", input)?),
                    "reply" => args.reply = Some(input.parse()?),
                    _ => args.deliver_within = Some(value::duration(key, input)?),
                }
                Ok(())
            });
        }
        args
    }
}
