//! What `#[command(…)]` and `#[event(…)]` say.

use std::time::Duration;

use quote::quote;
use syn::parse::ParseStream;
use syn::visit::{self, Visit};
use syn::{LitStr, Meta, Path, Type, TypeFnPtr, TypeImplTrait, TypeInfer, TypeReference};

use super::flavor::Flavor;
use crate::attribute::Attribute;
use crate::diagnostics::Diagnostics;
use crate::paths::private;
use crate::value;

/// The keys as the user gave them.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) name: Option<LitStr>,
    pub(super) version: Option<u16>,
    pub(super) to: Option<LitStr>,
    pub(super) reply: Option<Type>,
    pub(super) deliver_within: Option<Duration>,
    /// `handled`: the program has to have a handler.
    pub(super) handled: bool,
    /// `crate = …`: where jasper is found.
    pub(super) root: Option<Path>,
}

const COMMAND: Attribute = Attribute {
    name: "#[command]",
    words: &[],
    keys: &["name", "version", "to", "reply", "deliver_within", "crate"],
    instead: &[
        ("queue", "it stands at the handler: `#[handler(queue = \"…\")]`"),
        ("handled", "every command is: without a handler it does not compile"),
        ("durable", "write `#[durable]` beside the `#[handler]` of the command"),
    ],
};

const EVENT: Attribute = Attribute {
    name: "#[event]",
    words: &["handled"],
    keys: &["name", "version", "deliver_within", "crate"],
    instead: &[
        ("to", "give the builder `.publish_to::<Event>(\"endpoint\")`, or derive `Command`"),
        ("reply", "an event has any number of handlers, and no reply; derive `Command`"),
        ("queue", "it stands at each handler: `#[handler(queue = \"…\")]`"),
    ],
};

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
                    "reply" => args.reply = Some(reply(input)?),
                    "handled" => args.handled = true,
                    "deliver_within" => args.deliver_within = Some(value::duration(key, input)?),
                    _ => args.root = Some(value::path(key, input)?),
                }
                Ok(())
            });
        }
        args
    }
}

/// A type that cannot be a reply stands for its mistake: the compiler reports it where it meets the
/// type, takes that for an error, and says nothing of a handler that answers with it.
fn reply(input: ParseStream<'_>) -> syn::Result<Type> {
    let mistake = |error: syn::Error| {
        let private = private(error.span());
        let mistake = error.into_compile_error();
        Type::Verbatim(quote!(#private::Proven<(), #private::Holds<{ #mistake true }>>))
    };
    if input.peek(LitStr) {
        let quoted: LitStr = input.parse()?;
        let message = format!("`reply` takes a type without quotes: `reply = {}`", quoted.value());
        return Ok(mistake(syn::Error::new(quoted.span(), message)));
    }
    let reply: Type = input.parse().map_err(|error: syn::Error| {
        let message = "`reply` takes a type, such as `reply = Receipt`";
        syn::Error::new(error.span(), message)
    })?;
    let mut search = Unnamed::default();
    if let Type::TraitObject(found) = &reply {
        let message = "a reply is a value of a known size: write a type instead of `dyn …`, or \
                       put it in a box";
        search.0 = Some(syn::Error::new_spanned(found, message));
    }
    search.visit_type(&reply);
    Ok(search.0.map_or(reply, mistake))
}

/// Looks for what only a signature or a body may leave open, however deep in the reply.
#[derive(Default)]
struct Unnamed(Option<syn::Error>);

impl<'ast> Visit<'ast> for Unnamed {
    fn visit_type_reference(&mut self, found: &'ast TypeReference) {
        if found.lifetime.is_none() {
            let message = "a reply outlives its handler and cannot borrow: own what is in it, such \
                           as `String` instead of `&str`";
            self.0 = Some(syn::Error::new_spanned(found, message));
        }
        visit::visit_type_reference(self, found);
    }

    fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
        let message = "the type of a reply has to be named: write a type instead of `impl …`";
        self.0 = Some(syn::Error::new_spanned(found, message));
    }

    fn visit_type_infer(&mut self, found: &'ast TypeInfer) {
        let message = "the type of a reply has to be named: write a type instead of `_`";
        self.0 = Some(syn::Error::new_spanned(found, message));
    }

    /// What a function takes is not in the reply.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_documented_with_its_default() {
        COMMAND.assert_documented("derive_command");
        EVENT.assert_documented("derive_event");
    }
}
