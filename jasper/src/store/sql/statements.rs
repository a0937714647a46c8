//! How a store declares its statements: those of a file in one place of it, and all of them in one
//! list, which the test of plans goes through.
//!
//! Both macros are for a store whose file `sql.rs` has `Names`, which make a statement out of a
//! text, and `Text`, the type of statement that its driver takes.

/// Declares the statements of one file, so that they are made once and the test of plans sees all.
macro_rules! statements {
    ($name:ident { $($statement:ident: $text:expr),+ $(,)? }) => {
        #[derive(Debug)]
        pub(super) struct $name {
            $(pub(super) $statement: super::sql::Text,)+
        }

        impl $name {
            pub(super) fn of(names: &super::sql::Names) -> Self {
                Self { $($statement: names.statement(&$text),)+ }
            }

            /// Every statement, with its name.
            #[cfg(test)]
            pub(super) fn list(&self) -> Vec<(&'static str, &super::sql::Text)> {
                vec![$((stringify!($statement), &self.$statement),)+]
            }
        }
    };
}

/// Declares all statements of a store, by the files in which they stand.
macro_rules! all_statements {
    ($name:ident {
        $($file:ident: $statements:ident),+ $(,)?
    } $(with {
        $($(#[$doc:meta])* $more:ident: $type:ty),+ $(,)?
    })?) => {
        /// All statements of a store.
        #[derive(Debug)]
        pub(super) struct $name {
            $(pub(super) $file: super::$file::$statements,)+
            $($($(#[$doc])* pub(super) $more: $type,)+)?
        }

        impl $name {
            pub(super) fn of(names: &Names $($(, $more: $type)+)?) -> Self {
                Self {
                    $($file: super::$file::$statements::of(names),)+
                    $($($more,)+)?
                }
            }

            /// Every statement, with its name.
            #[cfg(test)]
            pub(super) fn list(&self) -> Vec<(&'static str, &Text)> {
                [$(self.$file.list(),)+].concat()
            }
        }
    };
}

pub(crate) use {all_statements, statements};
