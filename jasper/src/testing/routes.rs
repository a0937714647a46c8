//! The check at start as one line of a test.

use crate::error::StartupProblems;
use crate::runtime::check_declarations;

/// What [`assert_routes!`](super::assert_routes) asserts without a builder.
///
/// # Errors
/// There are problems; all of them are listed.
pub fn check_routes() -> Result<(), StartupProblems> {
    let problems = check_declarations();
    if problems.is_empty() { Ok(()) } else { Err(StartupProblems::new(problems)) }
}

/// Panics with all that would keep the application from starting.
///
/// `assert_routes!()` looks at what the program declares: two types of one wire name, two handlers
/// of one command, handlers of one name, conflicting concurrency. `assert_routes!(builder)` looks
/// at the configuration too: endpoints, states, queues, the store. The store is not opened for
/// that.
///
/// ```standalone_crate
/// #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
/// struct Greet;
///
/// #[jasper::handler]
/// async fn greet(_cmd: Greet) {}
///
/// // In a `#[test]`:
/// jasper::testing::assert_routes!();
/// jasper::testing::assert_routes!(jasper::Jasper::builder());
/// ```
#[macro_export]
#[doc(hidden)]
macro_rules! __assert_routes {
    () => {
        if let Err(problems) = $crate::testing::check_routes() {
            panic!("{problems}");
        }
    };
    ($builder:expr) => {
        if let Err(problems) = $crate::runtime::Builder::check(&$builder) {
            panic!("{problems}");
        }
    };
}
