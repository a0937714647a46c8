//! What `#[handler]` emits beside a function, but for what depends on its signature.
//!
//! The compiler copies the tokens of a `macro_rules!` macro faster than an attribute macro builds
//! them, which is compiled without optimisation.

/// Not public API. Used by generated code.
///
/// All of it lies in a constant, so that none of its names is visible to the program or shadowed by
/// it. `$impl`, `$empty`, `$function` and `$shown` have the place in the source where the compiler
/// shows what is wrong with the handler, its function and what that returns.
///
/// The marker is public whatever the function is, as the compiler infers it wherever the message is
/// sent. Its types are asked once, in `__Proof`, whether they are what they have to be; all else
/// names them through `Proven`.
#[doc(hidden)]
#[macro_export]
macro_rules! __handler {
    (
        $(#[$condition:meta])* $constant:ident $marker:ident $impl:tt $empty:tt ($message:ty)
    ) => {
        $(#[$condition])*
        const $constant: () = {
            pub enum $marker {}
            $impl $crate::__private::HandledBy<$marker> for $message $empty
        };
    };
    (
        $(#[$condition:meta])* $constant:ident $marker:ident $impl:tt $empty:tt ($message:ty)
        $function:ident $name:literal ($($run:tt)*) [$($setting:tt)*]
        $message_proof:ident [$($proof:ident $($question:tt)*)?]
        [$($(#[$value_condition:meta])* $value:ident: $value_type:ty,)*]
        [$($(#[$connection_condition:meta])* $connection:ident: $connection_type:ty,)*]
        [$($(#[$argument_condition:meta])* $argument:ident,)*]
    ) => {
        $(#[$condition])*
        const $constant: () = {
            pub enum $marker {}
            $impl $crate::__private::HandledBy<$marker> for $message $empty
            type $message_proof = $crate::__private::Holds<{
                $crate::__private::is_message::<$message>();
                true
            }>;
            $(type $proof = $crate::__private::Holds<{ $($question)* true }>;)?
            type __Message = <$crate::__private::Proven<$message, __Proof>
                as $crate::__private::FirstArgument>::Itself;
            impl $crate::__private::Handler<__Message> for $marker {
                const REGISTRATION: $crate::__private::HandlerRegistration = {
                    let __it = $crate::__private::HandlerRegistration::new::<__Message, Self, _>(
                        &$function,
                        $name,
                        ::core::module_path!(),
                        &[$(
                            $(#[$value_condition])*
                            <$crate::__private::Proven<$value_type, __Proof>
                                as $crate::__private::FromContext>::requirement
                        ),*],
                    )$($setting)*;
                    $(
                        $(#[$connection_condition])*
                        let __it = __it.connection::<
                            $crate::__private::Proven<$connection_type, __Proof>
                        >();
                    )*
                    __it
                };
                // The values are taken before the connection, which keeps the context borrowed; the
                // function gets them in its own order.
                fn call<'__a>(
                    __message: __Message,
                    __cx: &'__a mut $crate::__private::HandlerContext<'_>,
                ) -> $crate::__private::Called<'__a, __Message> {
                    let __codec = __cx.codec();
                    $(
                        $(#[$value_condition])*
                        let $value = <$crate::__private::Proven<$value_type, __Proof>
                            as $crate::__private::FromContext>::from_context(__cx)?;
                    )*
                    $(
                        $(#[$connection_condition])*
                        let $connection = __cx.connection::<
                            $crate::__private::Proven<$connection_type, __Proof>
                        >()?;
                    )*
                    // In a call, the compiler would show what cannot be returned at the argument.
                    let __run = $($run)*;
                    let __function = $function;
                    __run(__codec, __function(__message, $($(#[$argument_condition])* $argument),*))
                }
            }
            $crate::__private::inventory::submit!(
                <$marker as $crate::__private::Handler<__Message>>::REGISTRATION
            );
        };
    };
}
