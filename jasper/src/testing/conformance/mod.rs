//! What every store and every transport has to keep, as clauses that can be run against any.
//!
//! # Panics
//! Each clause is a test: it panics, with what it has found, where the clause is not kept.

#[allow(clippy::missing_panics_doc, reason = "each clause is a test, and panics if it is not kept")]
pub mod store;
#[allow(clippy::missing_panics_doc, reason = "each clause is a test, and panics if it is not kept")]
pub mod transport;

pub use self::store::{Effects, OwnTransaction, StoreFixture};

/// Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($suite:ident; $fixture:expr; $($port:ident { $($clause:ident)* })*) => {$(
        mod $port {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $clause() {
                    $crate::testing::conformance::$suite::$port::$clause(&$fixture).await;
                }
            )*
        }
    )*};
}
