//! What every store and every transport has to keep, as clauses that can be run against any.

pub mod store;
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
