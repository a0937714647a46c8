//! How long the messages of nodes that were killed have to wait for others.

use std::fmt;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::program::Bank;

/// The bank's own `watch`, which sees when the last message is handled that a node owned.
pub struct Watch {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    recoveries: Recoveries,
}

impl Watch {
    pub fn start(bank: &Bank) -> Self {
        let mut child = bank.command("watch").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output, recoveries: Recoveries::default() }
    }

    /// To be called right after a node was killed or frozen, and before another might recover its
    /// work at once: says how many messages the node owned.
    pub async fn ended(&mut self, process: u32) -> usize {
        let name = format!("bank-{process}");
        self.input.write_all(format!("{name}\n").as_bytes()).await.unwrap();
        loop {
            let line =
                self.output.next_line().await.unwrap().expect("it answers as long as it is asked");
            if self.recoveries.read(&line) == name
                && let Some((_, count)) = line.split_once(" owns ")
            {
                return count.parse().unwrap();
            }
        }
    }

    /// Waits until the messages of this node are handled, which owned some.
    pub async fn recovered(&mut self, process: u32) {
        let name = format!("bank-{process}");
        loop {
            let line =
                self.output.next_line().await.unwrap().expect("it answers as long as it is asked");
            if self.recoveries.read(&line) == name && line.contains(" recovered ") {
                return;
            }
        }
    }

    /// Waits until all is recovered.
    pub async fn end(mut self) -> Recoveries {
        drop(self.input);
        while let Some(line) = self.output.next_line().await.unwrap() {
            self.recoveries.read(&line);
        }
        assert!(self.child.wait().await.unwrap().success());
        let recovered = &self.recoveries.milliseconds;
        assert!(!recovered.is_empty(), "no node that was killed owned a message");
        self.recoveries
    }
}

#[derive(Debug, Default)]
pub struct Recoveries {
    /// The messages that nodes owned when they were killed.
    owned: usize,
    /// For each of those nodes that owned any.
    milliseconds: Vec<f64>,
}

impl Recoveries {
    /// Takes note of a line, and says which node it is about.
    fn read<'a>(&mut self, line: &'a str) -> &'a str {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("`{line}`"));
        let (name, what, number) = (word(), word(), word());
        match what {
            "owns" => self.owned += number.parse::<usize>().unwrap(),
            _ => self.milliseconds.push(number.parse().unwrap()),
        }
        name
    }
}

impl fmt::Display for Recoveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let quantile = |part: f64| sorted[((sorted.len() - 1) as f64 * part).round() as usize];
        let (p50, p99) = (quantile(0.5), quantile(0.99));
        write!(
            f,
            "{} messages of {} nodes recovered, each node in {p50:.0} ms (p50), {p99:.0} ms (p99)",
            self.owned,
            sorted.len(),
        )
    }
}
