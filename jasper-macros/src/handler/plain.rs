//! Handlers as most of them are written, read without `syn` and expanded without `quote`.
//!
//! The compiler runs every macro again at each check, and macros are compiled without optimisation.
//! What is here emits what `expand` emits, for a function that is right as far as its tokens show.
//! For any other it gives nothing, and the function is read in full.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use super::model::MOST_ARGUMENTS;
use super::reader::Reader;
use super::writer::Writer;

/// Which of the two attributes is being expanded. The other one may stand below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expanding {
    Handler,
    Durable,
}

/// What marks an attribute that has been expanded with the other one.
pub(super) const EXPANDED: &str = "__expanded";

/// The function and what stands beside it, if the function is a plain one: `async fn` with a
/// message and further arguments, whose types are paths, and nothing above it but documentation,
/// lints and the attributes of jasper.
pub(super) fn expand(item: TokenStream, expanding: Expanding) -> Option<TokenStream> {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let function = Function::read(&tokens, expanding)?;
    if let Some(attribute) = function.other.and_then(|at| tokens.get_mut(at)) {
        *attribute = expanded(attribute);
    }
    tokens.extend(function.beside());
    Some(tokens.into_iter().collect())
}

/// The attribute that has been expanded with this one, as `handler::expanded` leaves it standing.
fn expanded(attribute: &TokenTree) -> TokenTree {
    let TokenTree::Group(attribute) = attribute else {
        return attribute.clone();
    };
    let mark = Ident::new(EXPANDED, Span::call_site());
    let mark = TokenStream::from(TokenTree::from(mark));
    let mark = TokenTree::from(Group::new(Delimiter::Parenthesis, mark));
    let tokens = attribute.stream().into_iter().chain([mark]).collect();
    Group::new(Delimiter::Bracket, tokens).into()
}

struct Function {
    /// Where the other attribute stands, but for its `#`.
    other: Option<usize>,
    is_durable: bool,
    name: Ident,
    message: Vec<TokenTree>,
    arguments: Vec<Argument>,
    /// Where the compiler shows what cannot be returned.
    output: Span,
}

/// An argument after the message.
struct Argument {
    is_connection: bool,
    /// Where its type begins, but for `&mut`.
    place: Span,
}

impl Function {
    fn read(tokens: &[TokenTree], expanding: Expanding) -> Option<Self> {
        let (TokenTree::Group(body), head) = tokens.split_last()? else {
            return None;
        };
        if body.delimiter() != Delimiter::Brace {
            return None;
        }
        let mut head = Reader::new(head);
        let other = attributes(&mut head, expanding)?;
        if head.skip_word("pub") {
            head.skip_group(Delimiter::Parenthesis);
        }
        if !(head.skip_word("async") && head.skip_word("fn")) {
            return None;
        }
        let name = head.ident().filter(|name| !name.to_string().starts_with("r#"))?.clone();
        let inputs = head.group(Delimiter::Parenthesis)?;
        let output = output(&mut head, &name)?;
        let inputs: Vec<_> = inputs.stream().into_iter().collect();
        let mut inputs = Reader::new(&inputs);
        inputs.binding()?;
        let message = inputs.path()?.to_vec();
        let mut arguments = Vec::new();
        while !inputs.is_empty() {
            arguments.push(argument(&mut inputs)?);
        }
        let is_durable = expanding == Expanding::Durable || other.is_some();
        let function = Self { other, is_durable, name, message, arguments, output };
        function.is_right().then_some(function)
    }

    /// The rules of `validate` that a plain function can break.
    fn is_right(&self) -> bool {
        let connections = self.arguments.iter().filter(|argument| argument.is_connection);
        connections.count() <= usize::from(self.is_durable)
            && self.arguments.len() <= MOST_ARGUMENTS
    }

    /// As `expand` writes it.
    fn beside(&self) -> Vec<TokenTree> {
        let name = self.name.to_string();
        let message = match self.message.last() {
            Some(TokenTree::Ident(message)) => message.to_string(),
            _ => String::new(),
        };
        let place = self.name.span();
        let mut items = Writer::at(place);
        items.ident(&format!("__handler_{name}_of_{message}"));
        items.ident(&format!("__handler_{name}"));
        let mut header = items.another();
        header.show_at(place);
        header.ident("impl");
        header.group(Delimiter::Brace, Writer::nothing());
        items.extend(header);
        items.group(Delimiter::Parenthesis, self.message.iter().cloned().collect());
        items.ident(&name);
        items.text(&name);
        let settings = self.settings(&items);
        items.group(Delimiter::Bracket, settings);
        items.ident(CALL);
        let call = self.call(&items);
        items.group(Delimiter::Bracket, call);
        let mut macro_call = items.another();
        macro_call.path(&["jasper", "__private", "handler"]);
        macro_call.punct('!');
        macro_call.group(Delimiter::Brace, items.finish());
        macro_call.into_tokens()
    }

    fn settings(&self, items: &Writer) -> TokenStream {
        if !self.is_durable {
            return Writer::nothing();
        }
        let mut settings = items.another();
        settings.method("durable", Writer::nothing());
        if self.arguments.iter().any(|argument| argument.is_connection) {
            settings.method("takes_connection", Writer::nothing());
        }
        settings.finish()
    }

    fn call(&self, items: &Writer) -> TokenStream {
        let mut call = items.another();
        call.ident(CALL);
        for argument in &self.arguments {
            call.show_at(argument.place);
            let step = if argument.is_connection { "connection" } else { "argument" };
            call.method(step, Writer::nothing());
        }
        let mut passed = call;
        passed.move_to(self.name.span());
        passed.punct(',');
        passed.ident(&self.name.to_string());
        passed.punct(',');
        passed.number(0);
        let mut call = Writer::at(self.output);
        call.ident("let");
        call.ident(RUN);
        call.punct('=');
        call.extend(self.run());
        call.punct(';');
        call.ident(RUN);
        call.group(Delimiter::Parenthesis, passed.finish());
        call.finish()
    }

    /// What is called.
    fn run(&self) -> Writer {
        let mut run = Writer::at(self.output);
        run.show_at(self.output);
        run.path(&["jasper", "__private", "Call"]);
        run.types(&["__Message", "_"]);
        run.path(&["run"]);
        run.types(&["_", "_", "_"]);
        run
    }
}

const CALL: &str = "__call";
const RUN: &str = "__run";

/// Attributes that change nothing of the function.
const WITHOUT_EFFECT: [&str; 3] = ["doc", "allow", "expect"];

/// Where the other attribute of jasper stands, if it does; `None` where there is one that may be
/// anything.
fn attributes(head: &mut Reader<'_>, expanding: Expanding) -> Option<Option<usize>> {
    let mut other = None;
    while head.skip_punct('#') {
        let at = head.position();
        let attribute = head.group(Delimiter::Bracket)?.stream();
        let mut attribute = attribute.into_iter();
        let TokenTree::Ident(word) = attribute.next()? else {
            return None;
        };
        let word = word.to_string();
        if WITHOUT_EFFECT.contains(&word.as_str()) {
            continue;
        }
        let wanted = match expanding {
            Expanding::Handler => "durable",
            Expanding::Durable => "handler",
        };
        if word != wanted || attribute.next().is_some() || other.is_some() {
            return None;
        }
        other = Some(at);
    }
    // Without `#[handler]` it is not a handler.
    (expanding == Expanding::Handler || other.is_some()).then_some(other)
}

fn argument(inputs: &mut Reader<'_>) -> Option<Argument> {
    inputs.binding()?;
    let is_connection = inputs.skip_punct('&');
    if is_connection && !inputs.skip_word("mut") {
        return None;
    }
    let place = inputs.path_with_arguments()?.first()?.span();
    Some(Argument { is_connection, place })
}

/// The place of the return type, or of the name where there is none.
fn output(head: &mut Reader<'_>, name: &Ident) -> Option<Span> {
    if head.is_empty() {
        return Some(name.span());
    }
    if !(head.skip_punct('-') && head.skip_punct('>')) {
        return None;
    }
    let output = head.rest();
    let place = output.first()?.span();
    (!output.iter().any(is_unusual)).then_some(place)
}

/// Whether one of these words stands there, however deep.
fn is_unusual(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => matches!(word.to_string().as_str(), "impl" | "Self" | "where"),
        TokenTree::Group(group) => group.stream().into_iter().any(|token| is_unusual(&token)),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    }
}
