//! The memory of processes, as Linux counts it.

use std::fs;

/// What a process has in memory now, in KiB.
pub fn resident_kib(process: u32) -> u64 {
    field(process, "VmRSS:")
}

/// The most that it has had, in KiB.
pub fn peak_kib(process: u32) -> u64 {
    field(process, "VmHWM:")
}

/// # Panics
/// There is no such process.
fn field(process: u32, name: &str) -> u64 {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(path).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says it");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("it is a number")
}
