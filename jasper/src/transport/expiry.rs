//! When a certificate of this process expires, and a warning before that.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;
use x509_parser::parse_x509_certificate;

/// How long before its end a certificate is warned of, at most: one that is made for a shorter time
/// is warned of in the last quarter of it.
const NOTICE: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// The time when the first certificate of a chain expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Expiry {
    /// The last second at which it is valid.
    not_after: SystemTime,
    notice: Duration,
}

impl Expiry {
    /// `None` where none of them says a time.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        chain.iter().filter_map(Self::of_one).min()
    }

    fn of_one(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_rest, parsed) = parse_x509_certificate(certificate).ok()?;
        let [from, until] = [parsed.validity().not_before, parsed.validity().not_after]
            .map(|time| u64::try_from(time.timestamp()).ok().map(Duration::from_secs));
        let lifetime = until?.saturating_sub(from.unwrap_or_default());
        let not_after = SystemTime::UNIX_EPOCH.checked_add(until?)?;
        Some(Self { not_after, notice: NOTICE.min(lifetime / 4) })
    }

    /// The whole hours that are left; `Err`: those since it expired.
    fn hours(self, now: SystemTime) -> Result<u64, u64> {
        let hours = |time: Duration| time.as_secs() / (60 * 60);
        self.not_after.duration_since(now).map(hours).map_err(|past| hours(past.duration()))
    }
}

/// Warns at most once a day, as each connection asks.
#[derive(Debug, Default)]
pub(super) struct ExpiryWarning(Mutex<Option<Instant>>);

impl ExpiryWarning {
    pub(super) fn look_at(&self, expiry: Expiry, now: SystemTime) {
        if expiry.not_after > now + expiry.notice || !self.is_due() {
            return;
        }
        match expiry.hours(now) {
            Ok(hours) => tracing::warn!(hours, "the certificate of this process will expire"),
            Err(hours) => tracing::error!(hours, "the certificate of this process has expired"),
        }
    }

    fn is_due(&self) -> bool {
        let mut last = self.0.lock();
        let now = Instant::now();
        let is_due = last.is_none_or(|last| now - last >= Duration::from_secs(DAY));
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}
