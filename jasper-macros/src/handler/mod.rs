//! `#[handler]` and `#[durable]`.
//!
//! The two stand beside each other in either order. Whichever the compiler expands first finds the
//! other among the function's attributes, takes it away, and expands both.

mod args;
mod expand;
mod model;
mod plain;
mod reader;
mod validate;
mod writer;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, Meta, Path};

use self::args::{Args, DurableArgs};
use self::model::Model;
use self::plain::{EXPANDED, Expanding};
use crate::diagnostics::Diagnostics;
use crate::signature::{Function, is_function};

/// Expands `#[handler]`, and a `#[durable]` after it.
pub(crate) fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    if args.is_empty()
        && let Some(expansion) = plain::expand(item.clone(), Expanding::Handler)
    {
        return expansion;
    }
    handler_in_full(args, item)
}

fn handler_in_full(args: TokenStream, item: TokenStream) -> TokenStream {
    if is_expanded(&args) {
        return item;
    }
    let mut function: Function = match Function::read(item.clone()) {
        Ok(function) => function,
        Err(_) => return unreadable("#[handler]", item),
    };
    let mut diagnostics = Diagnostics::default();
    let args = Args::read(args, &mut diagnostics);
    let repeated = function.take_attributes("handler");
    refuse(repeated.first(), HANDLER_TWICE, &mut diagnostics);
    let durables = function.take_attributes("durable");
    refuse(durables.get(1), DURABLE_TWICE, &mut diagnostics);
    let durable = durables.first().map(|durable| {
        let tokens = attribute_args(durable, &mut diagnostics);
        DurableArgs::read(tokens, &mut diagnostics)
    });
    refuse_entry_point(&mut function, &mut diagnostics);
    expand(&function, args, durable, durables.first(), diagnostics)
}

/// Expands `#[durable]`, and the `#[handler]` after it.
pub(crate) fn durable(args: TokenStream, item: TokenStream) -> TokenStream {
    if args.is_empty()
        && let Some(expansion) = plain::expand(item.clone(), Expanding::Durable)
    {
        return expansion;
    }
    durable_in_full(args, item)
}

fn durable_in_full(args: TokenStream, item: TokenStream) -> TokenStream {
    if is_expanded(&args) {
        return item;
    }
    let mut function: Function = match Function::read(item.clone()) {
        Ok(function) => function,
        Err(_) => return unreadable("#[durable]", item),
    };
    let handlers = function.take_attributes("handler");
    let Some(handler) = handlers.first() else {
        return without_handler(&args, &function);
    };
    let mut diagnostics = Diagnostics::default();
    let durable = DurableArgs::read(args, &mut diagnostics);
    let repeated = function.take_attributes("durable");
    refuse(repeated.first(), DURABLE_TWICE, &mut diagnostics);
    refuse(handlers.get(1), HANDLER_TWICE, &mut diagnostics);
    let args = Args::read(attribute_args(handler, &mut diagnostics), &mut diagnostics);
    refuse_entry_point(&mut function, &mut diagnostics);
    expand(&function, args, Some(durable), Some(handler), diagnostics)
}

/// The attribute that was taken away and has been expanded, to be left standing: the compiler then
/// sees that its import is used, or reports that it is missing.
fn expanded(path: &Path) -> TokenStream {
    let mark = Ident::new(EXPANDED, Span::call_site());
    quote!(#[#path(#mark)])
}

fn is_expanded(args: &TokenStream) -> bool {
    args.to_string() == EXPANDED
}

const HANDLER_TWICE: &str = "`#[handler]` stands here twice: keep one of them";
const DURABLE_TWICE: &str = "`#[durable]` stands here twice: keep one of them";

fn refuse(extra: Option<&Attribute>, message: &str, diagnostics: &mut Diagnostics) {
    if let Some(extra) = extra {
        diagnostics.at(extra, message);
    }
}

/// Refuses `#[tokio::main]`, `#[test]` and the like. They are taken away, as each has mistakes of
/// its own to report of a function that takes a message.
fn refuse_entry_point(function: &mut Function, diagnostics: &mut Diagnostics) {
    for name in ["main", "test"] {
        let found = function.take_attributes(name);
        refuse(found.first(), ENTRY_POINT, diagnostics);
    }
}

const ENTRY_POINT: &str = "jasper calls a handler, with its message: remove this attribute, or \
                           write a function of its own for it";

/// A `#[durable]` function on which no attribute is called `handler`. It may be imported under
/// another name: so the other attributes are expanded first, and find the `#[durable]` last.
fn without_handler(args: &TokenStream, function: &Function) -> TokenStream {
    if function.has_macros() {
        let Function { attributes, visibility, signature, body } = function;
        let args = (!args.is_empty()).then(|| quote!((#args)));
        return quote!(#(#attributes)* #[::jasper::durable #args] #visibility #signature #body);
    }
    let message = "`#[durable]` makes a handler durable, and this function is not one: add \
                   `#[handler]`; if that has another name here, put `#[durable]` above it";
    let error = syn::Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #function)
}

fn expand(
    function: &Function,
    args: Args,
    durable: Option<DurableArgs>,
    taken: Option<&Attribute>,
    mut diagnostics: Diagnostics,
) -> TokenStream {
    let model = Model::new(function, args, durable);
    validate::validate(&model, &mut diagnostics);
    let mistakes = diagnostics.finish();
    let beside =
        if mistakes.is_empty() { expand::expand(&model) } else { expand::stand_in(&model) };
    let taken = taken.map(|taken| expanded(taken.path()));
    quote!(#taken #function #(#mistakes)* #beside)
}

/// An item that is not a function; or one that is not typed to its end, where the compiler itself
/// says what is missing.
fn unreadable(attribute: &str, item: TokenStream) -> TokenStream {
    if is_function(&item) {
        let function = Function::salvaged(item.clone());
        let stand_in = function
            .map(|function| expand::stand_in(&Model::new(&function, Args::default(), None)));
        return quote!(#item #stand_in);
    }
    let message = format!("`{attribute}` goes on a free `async fn`");
    let error = syn::Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}

/// What stands between the parentheses of an attribute that was taken away.
fn attribute_args(attribute: &Attribute, diagnostics: &mut Diagnostics) -> TokenStream {
    match &attribute.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            diagnostics
                .at(pair, "write parentheses: `#[…(key = value)]`, or nothing after the name");
            TokenStream::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without spaces, which depend on how the tokens were made.
    fn text(tokens: &TokenStream) -> String {
        tokens.to_string().split_whitespace().collect()
    }

    #[test]
    fn a_plain_function_expands_as_if_it_were_read_in_full() {
        let functions = [
            "async fn run(_: Run) {}",
            "pub async fn run(mut cmd: orders::Run, bus: Bus,) -> Result<Placed, Error> {}",
            "#[doc = \"\"] #[allow(unused)] pub(crate) async fn run(_: ::orders::Run) -> (A,) {}",
            "async fn run(_: Run, a: State<Vec<Vec<u8>>>, b: State<dyn a::Clock>) {}",
            "async fn run(_: Run, a: State<HashMap<u8, A>>) -> Vec<&'static str> {}",
        ];
        for function in functions {
            let item: TokenStream = function.parse().unwrap();
            let plain = plain::expand(item.clone(), Expanding::Handler).expect(function);
            let full = handler_in_full(TokenStream::new(), item);
            assert_eq!(text(&plain), text(&full), "{function}");
        }
    }

    #[test]
    fn a_plain_durable_function_does_too() {
        let function = "async fn run(_: Run, bus: Bus, db: &mut sqlx::PgConnection) -> Placed {}";
        let durable: TokenStream = format!("#[durable] {function}").parse().unwrap();
        let plain = plain::expand(durable.clone(), Expanding::Handler).expect("it is plain");
        let full = handler_in_full(TokenStream::new(), durable);
        assert_eq!(text(&plain), text(&full));
        let handler: TokenStream = format!("#[handler] {function}").parse().unwrap();
        let plain = plain::expand(handler.clone(), Expanding::Durable).expect("it is plain");
        let full = durable_in_full(TokenStream::new(), handler);
        assert_eq!(text(&plain), text(&full));
    }

    #[test]
    fn any_other_function_is_read_in_full() {
        let functions = [
            "fn run(_: Run) {}",
            "async fn run() {}",
            "async fn run(self) {}",
            "async fn run(self: Run) {}",
            "async fn run(_: Run);",
            "async fn run(_) {}",
            "async fn run(_: ) {}",
            "async fn run(_: Run Run) {}",
            "async fn run(_: Run, a: State<>) {}",
            "async fn run(_: Run, a: State<(u8, u8)>) {}",
            "async fn run(_: &Run) {}",
            "async fn run(_: Option<Run>) {}",
            "async fn run(_: Self) {}",
            "async fn run(_: Run, a: impl Clock) {}",
            "async fn run(_: Run, a: State<&'static str>) {}",
            "async fn run(_: Run, db: &mut PgConnection) {}",
            "async fn run(_: Run, State(a): State<u8>) {}",
            "async fn run(_: Run, #[cfg(unix)] a: Bus) {}",
            "async fn run(_: Run) -> impl Future {}",
            "async fn run(_: Run) -> Vec<Self> {}",
            "async fn run(_: Run) -> {}",
            "async fn run(_: Run) where A: B {}",
            "async fn run<T>(_: T) {}",
            "async fn r#match(_: Run) {}",
            "async unsafe fn run(_: Run) {}",
            "#[cfg(unix)] async fn run(_: Run) {}",
            "#[deprecated] async fn run(_: Run) {}",
            "#[tracing::instrument] async fn run(_: Run) {}",
            "#[handler] async fn run(_: Run) {}",
            "#[durable] #[durable] async fn run(_: Run) {}",
            "#[durable(share = 2)] async fn run(_: Run, db: &mut PgConnection) {}",
            "#[durable] async fn run(_: Run, a: &mut PgConnection, b: &mut PgConnection) {}",
            "struct Run;",
        ];
        for function in functions {
            let item: TokenStream = function.parse().unwrap();
            assert!(plain::expand(item, Expanding::Handler).is_none(), "{function}");
        }
        let alone: TokenStream = "async fn run(_: Run) {}".parse().unwrap();
        assert!(plain::expand(alone, Expanding::Durable).is_none(), "it is no handler");
    }
}
