//! What handlers fail with, and the tests that call them as the functions that they are.

#![deny(warnings)]
#![allow(dead_code, reason = "not every handler here is run")]

/// `anyhow::Error`, with `?`, `bail!` and `context`.
mod anyhow_result {
    use anyhow::Context;
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Import {
        pub line: String,
    }

    #[handler]
    pub async fn import(cmd: Import) -> anyhow::Result<()> {
        let number: u32 = cmd.line.parse().context("the line is no number")?;
        if number == 0 {
            anyhow::bail!("nothing to import");
        }
        Ok(())
    }
}

/// `eyre::Report`.
mod eyre_result {
    use eyre::WrapErr;
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Import {
        pub line: String,
    }

    #[handler]
    pub async fn import(cmd: Import) -> eyre::Result<()> {
        let _: u32 = cmd.line.parse().wrap_err("the line is no number")?;
        Ok(())
    }
}

/// A boxed error.
mod boxed_error {
    use std::error::Error;

    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Import {
        pub line: String,
    }

    #[handler]
    pub async fn import(cmd: Import) -> Result<(), Box<dyn Error + Send + Sync>> {
        let number: u32 = cmd.line.parse()?;
        if number == 0 {
            return Err("nothing to import".into());
        }
        Ok(())
    }
}

/// `?` on each of them in a handler that returns `HandlerError`.
mod all_into_handler_error {
    use std::error::Error;

    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Import;

    fn one() -> anyhow::Result<()> {
        Ok(())
    }

    fn two() -> eyre::Result<()> {
        Ok(())
    }

    fn three() -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    #[handler]
    pub async fn import(_: Import) -> Result<(), HandlerError> {
        one()?;
        two()?;
        three()?;
        std::fs::metadata("/")?;
        "7".parse::<u32>()?;
        None.ok_or("a text is an error too")?;
        Ok(())
    }
}

/// `terminal()` on errors of all kinds.
mod terminal {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Import {
        pub line: String,
    }

    fn checked(line: &str) -> anyhow::Result<u32> {
        Ok(line.parse()?)
    }

    #[handler]
    pub async fn import(cmd: Import) -> Result<(), HandlerError> {
        checked(&cmd.line).terminal()?;
        cmd.line.parse::<u32>().terminal()?;
        Err(HandlerError::terminal("no such line"))
    }
}

/// An enum of errors by `thiserror`.
mod enum_of_errors {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct PlaceOrder;

    #[derive(Debug, thiserror::Error)]
    pub enum OrderError {
        #[error("out of stock")]
        OutOfStock,
        #[error(transparent)]
        Database(#[from] sqlx::Error),
    }

    #[handler]
    #[durable]
    pub async fn place_order(
        _: PlaceOrder,
        db: &mut sqlx::SqliteConnection,
    ) -> Result<(), OrderError> {
        sqlx::query("select 1").execute(&mut *db).await?;
        Err(OrderError::OutOfStock)
    }
}

/// The alias of a driver.
mod alias_of_result {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct PlaceOrder;

    #[handler]
    #[durable]
    pub async fn place_order(_: PlaceOrder, db: &mut sqlx::SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("select 1").execute(&mut *db).await?;
        Ok(())
    }
}

/// `HandlerError::new` of any error, and the way back to a boxed error.
mod wrapped_and_taken_out {
    use std::error::Error;

    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Import;

    fn read() -> Result<String, HandlerError> {
        std::fs::read_to_string("/").map_err(HandlerError::new)
    }

    #[handler]
    pub async fn import(_: Import) -> Result<(), Box<dyn Error + Send + Sync>> {
        read().map_err(HandlerError::into_source)?;
        Ok(())
    }
}

/// A handler that never fails, and one that cannot succeed.
mod never {
    use std::convert::Infallible;

    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Fine;

    #[handler]
    pub async fn fine(_: Fine) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Handlers that return `HandlerError`, called from tests of all three habits.
mod called_from_tests {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct Import;

    #[handler]
    pub async fn import(_: Import) -> Result<(), HandlerError> {
        Err(HandlerError::new("no file"))
    }

    pub async fn anyhow_test() -> anyhow::Result<()> {
        import(Import).await?;
        Ok(())
    }

    pub async fn eyre_test() -> eyre::Result<()> {
        import(Import).await?;
        Ok(())
    }

    pub async fn boxed_test() -> Result<(), Box<dyn std::error::Error>> {
        import(Import).await?;
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    let words = [
        called_from_tests::anyhow_test().await.unwrap_err().to_string(),
        called_from_tests::eyre_test().await.unwrap_err().to_string(),
        called_from_tests::boxed_test().await.unwrap_err().to_string(),
    ];
    assert_eq!(words, ["no file", "no file", "no file"]);
}
