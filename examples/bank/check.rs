//! Whether the books are right: nothing lost, nothing twice, no money made or gone.

use std::collections::HashMap;
use std::process::ExitCode;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::bank::{ACCOUNTS, BALANCE, Bank};
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
    let is_right = (lost, double, sum, left, counts.dead_letters) == (0, 0, expected, 0, 0);
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
