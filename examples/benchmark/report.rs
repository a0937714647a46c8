//! The figures of all rounds, printed as medians with ratios.

use std::collections::BTreeMap;

/// The figures, by name, in the order of the rounds.
#[derive(Default)]
pub(crate) struct Report(BTreeMap<&'static str, Vec<f64>>);

pub(crate) const COMMIT: &str = "one-row commit";
pub(crate) const ONE_EACH: &str = "(a) same writes, one transaction each";
pub(crate) const HUNDRED_EACH: &str = "(b) same writes, 100 to a transaction";
pub(crate) const GROUP_COMMIT: &str = "group-commit loop, 16 senders";
pub(crate) const ONE_SENDER: &str = "durable handler, 1 sender";
pub(crate) const SIXTEEN_SENDERS: &str = "durable handler, 16 senders";
pub(crate) const SEND_ALONE: &str = "send alone, 16 senders";
pub(crate) const LATENCY_P50: &str = "send to handler, 100/s, p50";
pub(crate) const LATENCY_P99: &str = "send to handler, 100/s, p99";
pub(crate) const PLAIN_CALL: &str = "plain call";
pub(crate) const INVOKE: &str = "invoke";

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, figure: f64) {
        self.0.entry(name).or_default().push(figure);
    }

    pub(crate) fn print(&self) {
        println!("medians of {} rounds, synchronous=FULL", super::ROUNDS);
        println!("\nmessages per second");
        for name in [ONE_EACH, HUNDRED_EACH, ONE_SENDER, SIXTEEN_SENDERS, GROUP_COMMIT, SEND_ALONE]
        {
            println!("  {name:<40}{:>12.0}", self.median(name));
        }
        println!("\nmilliseconds");
        for name in [COMMIT, LATENCY_P50, LATENCY_P99] {
            println!("  {name:<40}{:>12.3}", self.median(name) * 1e3);
        }
        println!("\nnanoseconds");
        for name in [PLAIN_CALL, INVOKE] {
            println!("  {name:<40}{:>12.1}", self.median(name) * 1e9);
        }
        println!("\nratios, round by round, and what is aimed at");
        self.ratio(ONE_SENDER, ONE_EACH, "-");
        self.ratio(SIXTEEN_SENDERS, ONE_EACH, ">= 3");
        self.ratio(SIXTEEN_SENDERS, HUNDRED_EACH, ">= 0.5");
        self.ratio(SEND_ALONE, GROUP_COMMIT, ">= 0.8");
        self.ratio(LATENCY_P50, COMMIT, "<= 2");
        let over = (self.median(INVOKE) - self.median(PLAIN_CALL)) * 1e9;
        println!("  invoke over the plain call: {over:.1} ns, aimed at <= 200");
    }

    fn ratio(&self, ours: &str, raw: &str, aim: &str) {
        let pairs = self.0[ours].iter().zip(&self.0[raw]);
        let each: Vec<_> = pairs.map(|(ours, raw)| format!("{:.2}", ours / raw)).collect();
        println!("  {ours} / {raw}: {} (aim {aim})", each.join(", "));
    }

    fn median(&self, name: &str) -> f64 {
        percentile(self.0[name].clone(), 50)
    }
}

/// The value below which so many per cent of the figures lie.
pub(crate) fn percentile(mut figures: Vec<f64>, percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    figures.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}
