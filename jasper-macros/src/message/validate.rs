//! The rules that a message type has to keep.

use syn::{Data, DeriveInput};

use super::flavor::Flavor;
use super::model::Model;
use super::{endpoint, wire_name};
use crate::diagnostics::Diagnostics;

/// Reports every mistake in `model`.
pub(super) fn validate(model: &Model, item: &DeriveInput, diagnostics: &mut Diagnostics) {
    check_shape(model, item, diagnostics);
    check_generics(item, diagnostics);
    check_name(model, diagnostics);
    check_endpoint(model, diagnostics);
}

/// A union cannot be encoded.
fn check_shape(model: &Model, item: &DeriveInput, diagnostics: &mut Diagnostics) {
    if let Data::Union(data) = &item.data {
        let derive = match model.flavor {
            Flavor::Command => "Command",
            Flavor::Event => "Event",
        };
        let message = format!("`{derive}` is derived for structs and enums, not for unions");
        diagnostics.at(data.union_token, message);
    }
}

/// A wire name stands for one type, and a generic type is many.
fn check_generics(item: &DeriveInput, diagnostics: &mut Diagnostics) {
    let generics = &item.generics;
    if generics.params.is_empty() {
        return;
    }
    if generics.params.len() == generics.lifetimes().count() {
        diagnostics.at(
            generics,
            "a message cannot borrow, as it outlives the call that sends it: own what is in it, \
             such as `String` instead of `&str`",
        );
    } else {
        diagnostics.at(
            generics,
            "a message cannot be generic, as its wire name stands for one type: \
             derive it for a type without parameters",
        );
    }
}

fn check_name(model: &Model, diagnostics: &mut Diagnostics) {
    if let Some(what) = wire_name::mistake(&model.name.value()) {
        diagnostics.at(&model.name, format!("{what}: {}", wire_name::GRAMMAR));
    }
}

fn check_endpoint(model: &Model, diagnostics: &mut Diagnostics) {
    if let Some(to) = &model.to
        && let Some(what) = endpoint::mistake(&to.value())
    {
        diagnostics.at(to, what);
    }
}
