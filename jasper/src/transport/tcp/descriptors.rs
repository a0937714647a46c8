//! Whether the process may open the files that a listener's connections take.

use super::limits::Limits;

/// What a process opens beside them: connections to databases, files, those that it dials.
const OTHERS: u64 = 128;

/// Warns where the limit of the process is too low for what the listener takes.
#[cfg(unix)]
pub(super) fn check(limits: &Limits) {
    let Ok((allowed, _hard)) = rlimit::getrlimit(rlimit::Resource::NOFILE) else {
        return;
    };
    let wanted = wanted(limits);
    if allowed < wanted {
        tracing::warn!(
            allowed,
            wanted,
            "there are too few file descriptors for the connections that a listener takes",
        );
    }
}

#[cfg(not(unix))]
pub(super) fn check(_limits: &Limits) {}

fn wanted(limits: &Limits) -> u64 {
    let connections = limits.connections.saturating_add(limits.handshakes);
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_into_what_linux_allows() {
        assert!(wanted(&Limits::default()) <= 1_024);
    }
}
