//! Transfers between accounts at random, and a list of those that were accepted.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::{try_join, try_join_all};
use tokio::sync::Mutex;
use tokio::time::interval;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::bank::{ACCOUNTS, Bank, Order};
use crate::node;

/// How many transfers are on their way to the store at once.
const SENDERS: usize = 10;

/// How often a message is sent before its sender gives up, and how long it waits in between.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Sends `count` transfers, but for those that were accepted before, and waits until all is
/// handled.
pub(crate) async fn send(bank: &impl Bank, arguments: &Arguments, count: i64) -> Outcome<()> {
    let before = arguments.accepted.as_deref().map_or(Ok(HashSet::new()), accepted)?;
    let file = arguments
        .accepted
        .as_ref()
        .map(|path| File::options().create(true).append(true).open(path))
        .transpose()?;
    let app = node::start(bank, arguments).await?;
    let first = arguments.after + 1;
    let left = (first..first + count).filter(|id| !before.contains(id));
    let orders = RefCell::new(left.map(|id| order(id, arguments.seed)));
    let ticks = arguments.rate.map(|rate| Mutex::new(interval(Duration::from_secs(1) / rate)));
    let sender = || async {
        loop {
            if let Some(ticks) = &ticks {
                ticks.lock().await.tick().await;
            }
            let next = orders.borrow_mut().next();
            let Some(order) = next else {
                return Outcome::<()>::Ok(());
            };
            accept(async || Ok(bank.send(app.bus(), order).await?)).await?;
            if let Some(mut file) = file.as_ref() {
                // In one call, so that a kill leaves no half of a line.
                file.write_all(format!("{}\n", order.id).as_bytes())?;
            }
        }
    };
    let harms = async {
        for id in first..first + arguments.harms {
            // Not all at once: the handlers of transfers run beside them.
            tokio::time::sleep(PAUSE / 10).await;
            let order = order(id, arguments.seed);
            accept(async || bank.harm(app.bus(), order).await).await?;
        }
        Outcome::Ok(())
    };
    try_join(harms, try_join_all((0..SENDERS).map(|_| sender()))).await?;
    app.until_idle().await?;
    Ok(app.stop().await?)
}

/// What has no answer may have been accepted: sent again, it is the same message. A node that was
/// frozen finds its connections ended.
async fn accept(send: impl AsyncFn() -> Outcome<()>) -> Outcome<()> {
    let mut tries = 0;
    while let Err(error) = send().await {
        tries += 1;
        if tries == TRIES {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The ids in a file of accepted transfers, of which there may be none yet.
pub(crate) fn accepted(path: &Path) -> Outcome<HashSet<i64>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::parse).collect::<Result<_, _>>()?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// The same for the same seed.
fn order(id: i64, seed: u64) -> Order {
    let mut random = Rng::with_seed(seed ^ id.cast_unsigned().wrapping_mul(0xd134_2543_de82_ef95));
    let mut below = |limit: i64| random.i64(0..limit);
    Order { id, from: 1 + below(ACCOUNTS), to: 1 + below(ACCOUNTS), amount: 1 + below(100) }
}
