//! `#[derive(Command)]` and `#[derive(Event)]`.

mod args;
mod endpoint;
mod expand;
mod model;
mod validate;
mod wire_name;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput};

pub(crate) use self::endpoint::{QUEUE_GRAMMAR, is_queue};

use self::args::Args;
use self::model::{Flavor, Model};
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
    match diagnostics.finish() {
        None => expand::expand(&model),
        // These can be given no impl that would be sure to compile.
        Some(errors) if matches!(item.data, Data::Union(_)) => errors,
        Some(errors) if !item.generics.params.is_empty() => errors,
        Some(errors) => {
            let stand_in = expand::stand_in(&model);
            quote!(#errors #stand_in)
        }
    }
}
