//! The mistakes of one item, collected so that all are reported at once.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Collects mistakes. It has to be [finished](Self::finish): a mistake that is noticed but not
/// reported would let wrong code through.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    errors: Vec<syn::Error>,
    finished: bool,
}

impl Diagnostics {
    /// Reports a mistake at all of these tokens.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Reports a mistake that was found while parsing.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    /// Ends the collection: one `compile_error!` for each mistake, and none if there was none.
    pub(crate) fn finish(mut self) -> Vec<TokenStream> {
        self.finished = true;
        let errors = std::mem::take(&mut self.errors).into_iter().flatten();
        errors.map(syn::Error::into_compile_error).collect()
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        debug_assert!(
            self.finished || std::thread::panicking(),
            "mistakes were collected but not reported: call `finish`"
        );
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn every_mistake_becomes_an_error_of_its_own() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.at(quote!(here), "one");
        diagnostics.at(quote!(there), "two");
        let errors = diagnostics.finish();
        assert_eq!(errors.len(), 2, "{errors:?}");
    }

    #[test]
    fn no_mistake_is_no_error() {
        assert!(Diagnostics::default().finish().is_empty());
    }

    #[test]
    #[should_panic(expected = "not reported")]
    fn an_unfinished_collection_is_a_bug() {
        drop(Diagnostics::default());
    }
}
