//! A handler as the macros see it, with all defaults filled in.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, GenericParam, Path, Receiver, ReturnType, Signature, Type, TypeReference,
};

use super::args::{Args, DurableArgs};
use crate::signature::Function;

/// One handler.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) signature: &'a Signature,
    /// The conditions under which the function exists, and what stands beside it with it.
    pub(super) conditions: Conditions<'a>,
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

/// As many arguments as `jasper` passes on, after the message.
pub(super) const MOST_ARGUMENTS: usize = 16;

/// The `#[cfg(…)]` under which something exists.
pub(super) type Conditions<'a> = Vec<&'a Attribute>;

/// An argument after the message.
#[derive(Debug)]
pub(super) enum Argument<'a> {
    /// `T`, taken out of the context.
    Value(&'a Type, Conditions<'a>),
    /// `&T`, which is not supported.
    Shared(&'a TypeReference),
    /// `&mut T`, the connection of the transaction.
    Connection(&'a TypeReference, Conditions<'a>),
}

impl<'a> Model<'a> {
    /// The model of `function`, given what its attributes say.
    pub(super) fn new(function: &'a Function, args: Args, durable: Option<DurableArgs>) -> Self {
        let signature = &function.signature;
        let mut inputs = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        let attributes = &function.attributes;
        let is_deprecation = |attribute: &Attribute| attribute.path().is_ident("deprecated");
        Self {
            signature,
            conditions: conditions(attributes),
            is_deprecated: attributes.iter().any(is_deprecation),
            receiver: signature.receiver(),
            message: inputs.next().map(|input| &*input.ty),
            arguments: inputs.map(|input| Argument::of(&input.ty, &input.attrs)).collect(),
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
            Argument::Connection(reference, _) => Some(&*reference.elem),
            _ => None,
        })
    }

    /// Whether the function is over types or constants; lifetimes are for its caller.
    pub(super) fn is_generic(&self) -> bool {
        let mut params = self.signature.generics.params.iter();
        params.any(|param| !matches!(param, GenericParam::Lifetime(_)))
    }

    /// The first `Self` in the signature, if it is in an `impl` or a trait and says so.
    pub(super) fn self_type(&self) -> Option<&'a Ident> {
        struct Search<'a>(Option<&'a Ident>);
        impl<'a> Visit<'a> for Search<'a> {
            fn visit_path(&mut self, path: &'a Path) {
                let first = path.segments.first().map(|segment| &segment.ident);
                self.0 = self.0.or(first.filter(|word| *word == "Self"));
                visit::visit_path(self, path);
            }
        }
        let mut search = Search(None);
        search.visit_signature(self.signature);
        search.0
    }

    /// Where to show what belongs to the handler as a whole.
    pub(super) fn place(&self) -> Span {
        self.ident().span()
    }
}

impl<'a> Argument<'a> {
    fn of(argument: &'a Type, attributes: &'a [Attribute]) -> Self {
        match argument {
            Type::Reference(reference) if reference.mutability.is_some() => {
                Self::Connection(reference, conditions(attributes))
            }
            Type::Reference(reference) => Self::Shared(reference),
            Type::Paren(paren) => Self::of(&paren.elem, attributes),
            Type::Group(group) => Self::of(&group.elem, attributes),
            value => Self::Value(value, conditions(attributes)),
        }
    }
}

fn conditions(attributes: &[Attribute]) -> Conditions<'_> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
}
