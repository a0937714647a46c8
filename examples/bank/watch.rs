//! How long the messages of a node that was killed have to wait.
//!
//! It reads the names of nodes, a line each, as they are killed. To each it answers at once how
//! many messages the node owned, `NAME owns 12`, and later, if it owned any, `NAME recovered 34.5`
//! with the milliseconds until others had handled the last of them. It ends when its input does,
//! and all is recovered.

use std::time::{Duration, Instant};

use futures_util::{TryStreamExt, stream};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::Outcome;
use crate::bank::Bank;

/// How often it looks: there is no signal.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) async fn watch(bank: &impl Bank) -> Outcome<()> {
    let lines = BufReader::new(stdin()).lines();
    let names = stream::try_unfold(lines, async |mut lines| {
        Ok(lines.next_line().await?.map(|name| (name, lines)))
    });
    names.try_for_each_concurrent(None, |name| recovery(bank, name)).await
}

async fn recovery(bank: &impl Bank, name: String) -> Outcome<()> {
    let killed = Instant::now();
    let messages = bank.owned_by(&name).await?;
    println!("{name} owns {}", messages.len());
    if messages.is_empty() {
        return Ok(());
    }
    for message in messages {
        while bank.is_waiting(&message).await? {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let waited = killed.elapsed().as_secs_f64() * 1e3;
    println!("{name} recovered {waited:.1}");
    Ok(())
}
