//! A message as the derives see it, with all defaults filled in.

use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::{DeriveInput, LitStr, Path, Type, parse_quote_spanned};

use super::args::Args;
use super::flavor::Flavor;
use super::wire_name;

/// One message type.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) flavor: Flavor,
    pub(super) ident: Ident,
    pub(super) name: LitStr,
    pub(super) version: u16,
    pub(super) to: Option<LitStr>,
    pub(super) reply: Type,
    pub(super) deliver_within: Option<Duration>,
    pub(super) handled: bool,
    pub(super) root: Option<Path>,
}

impl Model {
    /// The model of `item`, given what its attribute says.
    pub(super) fn new(flavor: Flavor, item: &DeriveInput, args: Args) -> Self {
        let ident = item.ident.clone();
        let default_name = || LitStr::new(&wire_name::of_type(&ident.to_string()), ident.span());
        Self {
            flavor,
            name: args.name.unwrap_or_else(default_name),
            version: args.version.unwrap_or(1),
            to: args.to,
            reply: args.reply.unwrap_or_else(|| parse_quote_spanned!(Span::call_site()=> ())),
            deliver_within: args.deliver_within,
            handled: args.handled,
            root: args.root,
            ident,
        }
    }
}
