//! `#[derive(Command)]` and `#[derive(Event)]`.

mod args;
mod endpoint;
mod expand;
mod flavor;
mod model;
mod validate;
mod wire_name;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput};

pub(crate) use self::endpoint::{QUEUE_GRAMMAR, is_queue};

use self::args::Args;
use self::flavor::Flavor;
use self::model::Model;
use crate::diagnostics::Diagnostics;

/// Expands `#[derive(Command)]`.
pub(crate) fn command(item: TokenStream) -> TokenStream {
    derive(Flavor::Command, item)
}

/// Expands `#[derive(Event)]`.
pub(crate) fn event(item: TokenStream) -> TokenStream {
    derive(Flavor::Event, item)
}

fn derive(flavor: Flavor, item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let mut diagnostics = Diagnostics::default();
    let args = Args::read(flavor, &item.attrs, &mut diagnostics);
    let model = Model::new(flavor, &item, args);
    validate::validate(&model, &item, &mut diagnostics);
    let mistakes = diagnostics.finish();
    if mistakes.is_empty() {
        return expand::expand(&model);
    }
    // These can be given no impl of `Message` that would be sure to compile.
    if matches!(item.data, Data::Union(_)) || !item.generics.params.is_empty() {
        return expand::refused(&model, &item.generics, &mistakes);
    }
    let stand_in = expand::stand_in(&model);
    quote!(#(#mistakes)* #stand_in)
}
