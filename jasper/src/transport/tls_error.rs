//! What is wrong with certificates, keys and roots.

use std::path::PathBuf;

/// TLS cannot be used as it is configured. No text quotes a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is no PEM section of the kind that is wanted.
    #[error("there is no {what} in PEM")]
    Pem {
        /// What was looked for.
        what: &'static str,
    },
    /// A certificate or a key is not usable.
    #[error("the certificate or its key cannot be used: {why}")]
    Certificate {
        /// What is wrong.
        why: String,
    },
}
