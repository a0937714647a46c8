//! A handler as the macros see it, with all defaults filled in.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Receiver, ReturnType, Signature, Type, TypeReference};

use super::args::{Args, DurableArgs};
use crate::signature::Function;

/// One handler.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) signature: &'a Signature,
    /// The conditions under which the function exists, and what stands beside it with it.
    pub(super) conditions: Vec<&'a Attribute>,
    /// Whether calling the function is deprecated, though for people only.
    pub(super) is_deprecated: bool,
    pub(super) receiver: Option<&'a Receiver>,
    /// The first argument; `None` where the function takes nothing.
    pub(super) message: Option<&'a Type>,
    /// The arguments after the message.
    pub(super) arguments: Vec<Argument<'a>>,
    /// What `#[durable]` says, where it is there.
    pub(super) durable: Option<DurableArgs>,
    pub(super) args: Args,
}

/// An argument after the message.
#[derive(Debug)]
pub(super) enum Argument<'a> {
    /// `T`, taken out of the context.
    Value(&'a Type),
    /// `&T`, which is not supported.
    Shared(&'a TypeReference),
    /// `&mut T`, the connection of the transaction.
    Connection(&'a TypeReference),
}

impl<'a> Model<'a> {
    /// The model of `function`, given what its attributes say.
    pub(super) fn new(function: &'a Function, args: Args, durable: Option<DurableArgs>) -> Self {
        let signature = &function.signature;
        let mut types = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        });
        let attributes = &function.attributes;
        let is_condition = |attribute: &&Attribute| attribute.path().is_ident("cfg");
        let is_deprecation = |attribute: &Attribute| attribute.path().is_ident("deprecated");
        Self {
            signature,
            conditions: attributes.iter().filter(is_condition).collect(),
            is_deprecated: attributes.iter().any(is_deprecation),
            receiver: signature.receiver(),
            message: types.next(),
            arguments: types.map(Argument::of).collect(),
            durable,
            args,
        }
    }

    /// The function's name.
    pub(super) const fn ident(&self) -> &'a Ident {
        &self.signature.ident
    }

    /// The function's name as text, which is also that of its queue where no other is given.
    pub(super) fn name(&self) -> String {
        self.ident().unraw().to_string()
    }

    /// The declared return type, if there is one.
    pub(super) fn output(&self) -> Option<&'a Type> {
        match &self.signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => Some(output),
        }
    }

    /// The type of the connection, if one is taken.
    pub(super) fn connection(&self) -> Option<&'a Type> {
        self.arguments.iter().find_map(|argument| match argument {
            Argument::Connection(reference) => Some(&*reference.elem),
            _ => None,
        })
    }

    /// The types of the arguments by value.
    pub(super) fn values(&self) -> impl Iterator<Item = &'a Type> + '_ {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Value(value) => Some(*value),
            _ => None,
        })
    }

    /// Where to show what belongs to the handler as a whole.
    pub(super) fn place(&self) -> Span {
        self.ident().span()
    }
}

impl<'a> Argument<'a> {
    fn of(argument: &'a Type) -> Self {
        match argument {
            Type::Reference(reference) if reference.mutability.is_some() => {
                Self::Connection(reference)
            }
            Type::Reference(reference) => Self::Shared(reference),
            Type::Paren(paren) => Self::of(&paren.elem),
            Type::Group(group) => Self::of(&group.elem),
            value => Self::Value(value),
        }
    }
}
