//! A program that has jasper under another name: every attribute says so by `crate = …`.

use messaging::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

/// A command.
#[derive(Debug, Command, Serialize, Deserialize)]
#[command(crate = messaging, name = "renamed.double", reply = u32)]
pub struct Double(pub u32);

/// An event.
#[derive(Debug, Event, Serialize, Deserialize)]
#[event(crate = messaging, name = "renamed.doubled")]
pub struct Doubled(pub u32);

/// A command of a durable handler.
#[derive(Debug, Command, Serialize, Deserialize)]
#[command(crate = messaging)]
pub struct Store(pub u32);

#[handler(crate = messaging)]
async fn double(cmd: Double) -> (Reply<u32>, Doubled) {
    (Reply(cmd.0 * 2), Doubled(cmd.0))
}

#[handler(crate = messaging)]
async fn doubled(event: Doubled) -> Option<Store> {
    (event.0 > 100).then_some(Store(event.0))
}

#[durable]
#[handler(crate = messaging)]
async fn store(_: Store, _: &mut SqliteConnection) -> Result<(), HandlerError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_with_a_renamed_dependency_runs() {
        let app = Jasper::builder().handler(double).handler(doubled).start().await.unwrap();
        assert_eq!(app.bus().invoke(Double(21)).await.unwrap(), 42);
        app.until_idle().await.unwrap();
        app.stop().await.unwrap();
    }
}
