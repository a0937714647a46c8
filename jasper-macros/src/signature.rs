//! A function whose signature is parsed and whose body is left as it is.
//!
//! The body may be half-typed, as it is in an editor; as tokens it is handed back unread, so that
//! completion keeps working in it.

use proc_macro2::{Delimiter, Group, Punct, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, FnArg, Signature, Token, Visibility};

/// A free function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: TokenStream,
}

impl Function {
    /// Reads a function. Its body is not looked at, however long it is.
    pub(crate) fn read(item: TokenStream) -> syn::Result<Self> {
        let mut head: Vec<_> = item.into_iter().collect();
        let is_body = |last: &mut TokenTree| match last {
            TokenTree::Group(last) => last.delimiter() == Delimiter::Brace,
            _ => false,
        };
        let body = head.pop_if(is_body);
        let mut function: Self = syn::parse2(head.into_iter().collect())?;
        function.body.extend(body);
        Ok(function)
    }

    /// Takes away the attributes that are called `name`, by whatever path, and gives them.
    pub(crate) fn take_attributes(&mut self, name: &str) -> Vec<Attribute> {
        let is_it = |attribute: &mut Attribute| {
            let last = attribute.path().segments.last();
            last.is_some_and(|last| last.ident == name)
        };
        self.attributes.extract_if(.., is_it).collect()
    }

    /// Whether an attribute is left that may be a macro.
    pub(crate) fn has_macros(&self) -> bool {
        self.attributes.iter().any(|attribute| {
            let path = attribute.path();
            !path.get_ident().is_some_and(|word| PLAIN.iter().any(|plain| word == plain))
        })
    }

    /// What can be read of a function that is not typed to its end: arguments that cannot be read
    /// are left out. `None` for anything but a function.
    pub(crate) fn salvaged(item: TokenStream) -> Option<Self> {
        let mut is_past_name = false;
        let tokens = item.into_iter().map(|token| match token {
            TokenTree::Ident(ref word) if word == "fn" => {
                is_past_name = true;
                token
            }
            TokenTree::Group(group)
                if is_past_name && group.delimiter() == Delimiter::Parenthesis =>
            {
                is_past_name = false;
                let inputs = readable_inputs(group.stream());
                TokenTree::Group(Group::new(Delimiter::Parenthesis, inputs))
            }
            token => token,
        });
        Self::read(tokens.collect()).ok()
    }
}

/// Attributes that are not macros.
const PLAIN: &[&str] = &[
    "allow",
    "cfg",
    "cfg_attr",
    "cold",
    "deny",
    "deprecated",
    "doc",
    "expect",
    "forbid",
    "inline",
    "must_use",
    "warn",
];

/// Whether one of `words` stands in these tokens, however deep.
pub(crate) fn has_word(words: &[&str], tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => words.iter().any(|word| ident == word),
        TokenTree::Group(group) => has_word(words, group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether these are the tokens of a function, however far it is typed.
pub(crate) fn is_function(item: &TokenStream) -> bool {
    let is_fn = |token| matches!(token, TokenTree::Ident(word) if word == "fn");
    item.clone().into_iter().any(is_fn)
}

fn readable_inputs(inputs: TokenStream) -> TokenStream {
    let mut readable = TokenStream::new();
    let mut input = TokenStream::new();
    let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(it) if it.as_char() == ',');
    for token in inputs.into_iter().chain([Punct::new(',', Spacing::Alone).into()]) {
        let ends = comma(&token);
        input.extend([token]);
        if ends {
            let argument = std::mem::take(&mut input);
            let read = |input: ParseStream<'_>| {
                input.parse::<FnArg>()?;
                input.parse::<Token![,]>()
            };
            if read.parse2(argument.clone()).is_ok() {
                readable.extend(argument);
            }
        }
    }
    readable
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attribute in &self.attributes {
            attribute.to_tokens(tokens);
        }
        self.visibility.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}
