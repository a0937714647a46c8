//! Whether the books are right: nothing lost, nothing twice, no money made or gone.

use std::collections::HashMap;
use std::process::ExitCode;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::bank::{ACCOUNTS, ATTEMPTS, BALANCE, Bank};
use crate::send::accepted;

pub(crate) async fn check(bank: &impl Bank, arguments: &Arguments) -> Outcome<ExitCode> {
    let mut times = HashMap::<i64, [u32; 2]>::new();
    for (id, leg) in bank.effects().await? {
        times.entry(id).or_default()[usize::from(leg == "credit")] += 1;
    }
    let mut lost = times.values().filter(|legs| legs.contains(&0)).count();
    let double = times.values().filter(|legs| legs.iter().any(|times| *times > 1)).count();
    println!("transfers    {:>9}", times.len());
    if let Some(file) = &arguments.accepted {
        let accepted = accepted(file)?;
        lost += accepted.iter().filter(|id| !times.contains_key(id)).count();
        println!("accepted     {:>9}", accepted.len());
    }
    let sum = bank.sum().await?;
    let expected = ACCOUNTS * BALANCE;
    let counts = bank.store().admin().counts().await?;
    let left = counts.incoming + counts.scheduled + counts.outgoing;
    println!("lost         {lost:>9}");
    println!("double       {double:>9}");
    println!("sum          {sum:>9}, of {expected}");
    println!("rows left    {left:>9}");
    println!("dead letters {:>9}", counts.dead_letters);
    let mut runs = HashMap::<i64, u32>::new();
    for id in bank.harms().await? {
        *runs.entry(id).or_default() += 1;
    }
    let waits = bank.waits().await?;
    let millis = |percent: usize| {
        let place = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
        waits.get(place).copied().unwrap_or(0) / 1000
    };
    println!("waited       p50 {} ms, p99 {} ms, most {} ms", millis(50), millis(99), millis(100));
    let (least, most) = (runs.values().min(), runs.values().max());
    let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
    println!("harms        {:>9}, each run {least} to {most} times", runs.len());
    // Runs that were cut short cost no attempt, so that some have more.
    let are_tried = runs.is_empty() || least >= ATTEMPTS;
    let is_right = (lost, double, sum, left) == (0, 0, expected, 0)
        && counts.dead_letters == runs.len() as u64
        && are_tried;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
