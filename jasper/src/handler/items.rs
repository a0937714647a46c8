//! What `#[handler]` emits beside a function, but for what depends on its signature.
//!
//! The compiler copies the tokens of a `macro_rules!` macro faster than an attribute macro builds
//! them, which is compiled without optimisation.

/// Not public API. Used by generated code.
///
/// All of it lies in a constant, so that none of its names is visible to the program or shadowed by
/// it. `$impl`, `$empty`, `$function` and what is in `$body` have the place in the source where the
/// compiler shows what is wrong with the handler, its function, an argument and what is returned.
///
/// The marker is public whatever the function is, as the compiler infers it wherever the message is
/// sent. The message is asked once whether it is one; all else names it as `__Message`, which is an
/// error then. `$body` makes the call, for which the types of the arguments are inferred.
#[doc(hidden)]
#[macro_export]
macro_rules! __handler {
    (
        $(#[$condition:meta])* $constant:ident $marker:ident $impl:tt $empty:tt ($message:ty)
        $function:ident $name:literal [$($setting:tt)*] $call:ident [$($body:tt)*]
    ) => {
        $(#[$condition])*
        const $constant: () = {
            pub enum $marker {}
            $impl $crate::__private::HandledBy<$marker> for $message $empty
            type __Message = $crate::__private::Proved<$message, $crate::__private::Holds<{
                $crate::__private::is_message::<$message>();
                true
            }>>;
            impl $crate::__private::Handler<__Message> for $marker {
                const REGISTRATION: $crate::__private::HandlerRegistration =
                    $crate::__private::HandlerRegistration::new::<__Message, Self, _>(
                        &$function,
                        $name,
                        ::core::module_path!(),
                    )$($setting)*;
                fn call(
                    $call: $crate::__private::Call<'_, __Message>,
                ) -> $crate::__private::Called<'_, __Message> {
                    $($body)*
                }
            }
            $crate::__private::inventory::submit!(
                <$marker as $crate::__private::Handler<__Message>>::REGISTRATION
            );
        };
    };
    (
        $(#[$condition:meta])* $constant:ident $marker:ident $impl:tt $empty:tt ($message:ty)
    ) => {
        $(#[$condition])*
        const $constant: () = {
            pub enum $marker {}
            $impl $crate::__private::HandledBy<$marker> for $message $empty
        };
    };
}
