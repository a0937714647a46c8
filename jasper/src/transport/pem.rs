//! PEM, and files of certificates and of secrets.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use zeroize::Zeroizing;

use super::tls_error::TlsError;

/// The coarsest step of a file's time.
const STEP: Duration = Duration::from_secs(2);

/// By what a file is seen to be another one, or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    length: u64,
    inode: Inode,
}

/// Which file it is, and when it last changed in any way. What is unpacked or linked often has the
/// length and the time of modification of what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inode {
    place: [u64; 2],
    changed: SystemTime,
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> io::Result<Inode> {
    use std::os::unix::fs::MetadataExt;

    let seconds = metadata.ctime().try_into().unwrap_or_default();
    let nanos = metadata.ctime_nsec().try_into().unwrap_or_default();
    let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
    Ok(Inode { place: [metadata.dev(), metadata.ino()], changed })
}

#[cfg(not(unix))]
fn inode(metadata: &Metadata) -> io::Result<Inode> {
    Ok(Inode { place: [0; 2], changed: metadata.modified()? })
}

impl Stamp {
    /// `None` where there is no such file at the moment.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let (modified, inode) = (metadata.modified().ok()?, inode(&metadata).ok()?);
        Some(Self { modified, length: metadata.len(), inode })
    }

    /// Whether a change after `now` could have the same stamp: the times of files move in steps, of
    /// some milliseconds in most file systems and of two seconds in FAT.
    pub(super) fn is_recent(&self, now: SystemTime) -> bool {
        let changed = self.inode.changed;
        let distance = now.duration_since(changed).unwrap_or_else(|later| later.duration());
        distance <= STEP
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

/// As [`read`], for what is not to stay in memory that is free again.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    secret(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), why: error.to_string() }
}

/// The content of a file that only its owner should be able to read; warns where others can.
pub(super) fn secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let content = std::fs::read(path).map(Zeroizing::new)?;
    if is_open_to_others(path) {
        tracing::warn!(
            file = %path.display(),
            "a file with a secret can be read or changed by every user of this machine",
        );
    }
    Ok(content)
}

/// Only other users count: a group is how such a file is usually shared.
#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}

/// The certificates of PEM text, of which there is at least one.
pub(super) fn certificates(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    some(CertificateDer::pem_slice_iter(pem).collect(), what)
}

/// What was found, if it was found and can be read.
pub(super) fn some<T>(
    found: Result<Vec<T>, pem::Error>,
    what: &'static str,
) -> Result<Vec<T>, TlsError> {
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsError::Pem { what })
}
