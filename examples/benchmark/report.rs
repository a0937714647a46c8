//! The figures of all rounds, printed as medians with ratios.

use std::collections::BTreeMap;

/// The figures, by name, in the order of the rounds.
#[derive(Default)]
pub(crate) struct Report(BTreeMap<&'static str, Vec<f64>>);

/// What a report shows, in its order. What was not measured is left out.
pub(crate) struct Layout {
    pub(crate) conditions: &'static str,
    /// Messages per second.
    pub(crate) rates: &'static [&'static str],
    /// Seconds, shown as milliseconds.
    pub(crate) times: &'static [&'static str],
    /// Seconds, shown as nanoseconds.
    pub(crate) moments: &'static [&'static str],
    /// Ours, what it is held against, and what is aimed at.
    pub(crate) ratios: &'static [(&'static str, &'static str, &'static str)],
}

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, figure: f64) {
        self.0.entry(name).or_default().push(figure);
    }

    pub(crate) fn add_all<const N: usize>(&mut self, names: [&'static str; N], figures: [f64; N]) {
        for (name, figure) in names.into_iter().zip(figures) {
            self.add(name, figure);
        }
    }

    pub(crate) fn print(&self, layout: &Layout) {
        println!("medians of {} rounds, {}", super::ROUNDS, layout.conditions);
        self.section("messages per second", layout.rates, 1.0, 0);
        self.section("milliseconds", layout.times, 1e3, 3);
        self.section("nanoseconds", layout.moments, 1e9, 1);
        println!("\nratios, round by round, and what is aimed at");
        for (ours, raw, aim) in layout.ratios {
            let (Some(of_ours), Some(of_raw)) = (self.0.get(ours), self.0.get(raw)) else {
                continue;
            };
            let pairs = of_ours.iter().zip(of_raw);
            let each: Vec<_> = pairs.map(|(ours, raw)| format!("{:.2}", ours / raw)).collect();
            println!("  {ours} / {raw}: {} (aim {aim})", each.join(", "));
        }
    }

    fn section(&self, title: &str, names: &[&str], scale: f64, digits: usize) {
        if names.is_empty() {
            return;
        }
        println!("\n{title}");
        for name in names.iter().filter(|name| self.0.contains_key(**name)) {
            println!("  {name:<60}{:>12.digits$}", self.median(name) * scale);
        }
    }

    pub(crate) fn median(&self, name: &str) -> f64 {
        percentile(self.0[name].clone(), 50)
    }
}

/// The value below which this many per cent of the figures lie.
pub(crate) fn percentile(mut figures: Vec<f64>, percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    figures.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}
