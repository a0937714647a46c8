//! Who may connect, by what it proves that, and what it may send.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::hmac;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::message::{Message, MessageType};
use crate::transport::pem::secret;

/// A secret of fewer bytes could be guessed.
const SHORTEST: usize = 16;
const LONGEST_ID: usize = 128;

/// A secret that two processes share, with the name by which they speak of it.
///
/// The name is no secret: it travels in the clear, and tells apart the old and the new key while
/// one replaces the other. `Debug` never shows the secret.
#[derive(Clone)]
pub struct SharedKey {
    id: Arc<str>,
    key: hmac::Key,
}

impl SharedKey {
    /// A key of this name, with a secret of at least 16 bytes; 32 random bytes are best.
    ///
    /// # Errors
    /// The secret is shorter ([`KeyError::Short`]), or the name is empty or longer than 128 bytes
    /// ([`KeyError::Name`]).
    pub fn new(id: impl Into<String>, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let (id, secret) = (id.into(), secret.as_ref());
        if id.is_empty() || id.len() > LONGEST_ID {
            return Err(KeyError::Name { length: id.len() });
        }
        if secret.len() < SHORTEST {
            return Err(KeyError::Short { id, length: secret.len() });
        }
        Ok(Self { id: id.into(), key: hmac::Key::new(hmac::HMAC_SHA256, secret) })
    }

    /// A key whose secret is the content of a file, without the end of its last line.
    ///
    /// # Errors
    /// As [`new`](Self::new), or the file cannot be read ([`KeyError::File`]).
    pub fn from_file(id: impl Into<String>, path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let content = secret(path)
            .map_err(|error| KeyError::File { path: path.to_owned(), why: error.to_string() })?;
        let line = content.strip_suffix(b"\n").unwrap_or(&content[..]);
        Self::new(id, line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The name of the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn hmac(&self) -> &hmac::Key {
        &self.key
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A shared key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The secret could be guessed.
    #[error("the secret of the key `{id}` has {length} bytes; at least {SHORTEST} are needed")]
    Short {
        /// The name of the key.
        id: String,
        /// The length of its secret, in bytes.
        length: usize,
    },
    /// The name does not fit the protocol.
    #[error("the name of a key has 1 to {LONGEST_ID} bytes, not {length}")]
    Name {
        /// Its length, in bytes.
        length: usize,
    },
    /// The file cannot be read.
    #[error("the key in {} cannot be read: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// A process that may connect: its name, by what it proves who it is, and what it may send.
///
/// It needs a key, a certificate, or both; where it has both it has to prove both.
///
/// ```
/// use jasper::message::MessageType;
/// use jasper::transport::tcp::{KeyError, Peer, SharedKey};
///
/// # fn main() -> Result<(), KeyError> {
/// # let (old, new) = ([7; 32], [8; 32]);
/// let shop = Peer::named("shop")
///     .key(SharedKey::new("2026-05", old)?)
///     .key(SharedKey::new("2026-11", new)?)
///     .allow_type(MessageType::new("place-order", 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Peer {
    name: Arc<str>,
    keys: Vec<SharedKey>,
    certificate: Option<String>,
    allowed: Option<HashSet<MessageType>>,
}

impl Peer {
    /// A peer of this name, which stays when its keys change: messages are told apart by it.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), keys: Vec::new(), certificate: None, allowed: None }
    }

    /// Lets it prove itself by this key, as well as by those given before.
    #[must_use]
    pub fn key(mut self, key: SharedKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Lets it prove itself by a TLS certificate that is valid for this name: a DNS name or an IP
    /// address among the certificate's subject alternative names.
    #[must_use]
    pub fn certificate(mut self, name: impl Into<String>) -> Self {
        self.certificate = Some(name.into());
        self
    }

    /// Lets it send messages of this type. Without any such call it may send all types.
    #[must_use]
    pub fn allow<M: Message>(self) -> Self {
        self.allow_type(M::TYPE)
    }

    /// As [`allow`](Self::allow), for a type that is known by its name only.
    #[must_use]
    pub fn allow_type(mut self, message_type: MessageType) -> Self {
        self.allowed.get_or_insert_default().insert(message_type);
        self
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// Whether there is a list of what it may send.
    pub(super) const fn is_limited(&self) -> bool {
        self.allowed.is_some()
    }

    pub(super) fn may_send(&self, message_type: &MessageType) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(message_type))
    }

    fn is_certified_by(&self, certificate: Option<&CertificateDer<'_>>) -> bool {
        let (Some(name), Some(certificate)) = (&self.certificate, certificate) else {
            return false;
        };
        let Ok(name) = ServerName::try_from(name.as_str()) else {
            return false;
        };
        rustls::server::ParsedCertificate::try_from(certificate)
            .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
    }
}

/// All who may connect.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers(Vec<Arc<Peer>>);

impl Peers {
    pub(super) fn add(&mut self, peer: Peer) {
        self.0.push(Arc::new(peer));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn any_has_certificate(&self) -> bool {
        self.0.iter().any(|peer| peer.has_certificate())
    }

    /// What cannot have been meant.
    pub(super) fn problem(&self) -> Option<String> {
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        for peer in &self.0 {
            let name = &peer.name;
            if !names.insert(name) {
                return Some(format!("two peers are named `{name}`"));
            }
            if peer.keys.is_empty() && peer.certificate.is_none() {
                return Some(format!(
                    "the peer `{name}` has nothing to prove itself by: give it `.key(…)` or \
                     `.certificate(…)`"
                ));
            }
            if let Some(text) = &peer.certificate
                && ServerName::try_from(text.as_str()).is_err()
            {
                return Some(format!(
                    "`{text}`, by which the peer `{name}` is certified, is neither a DNS name nor \
                     an IP address"
                ));
            }
            if let Some(key) = peer.keys.iter().find(|key| !ids.insert(&*key.id)) {
                return Some(format!("two keys of peers are named `{}`", key.id));
            }
        }
        None
    }

    /// The peer and the key of this name. It takes as long for a name that no peer has.
    pub(super) fn with_key(&self, id: &str) -> Option<(&Arc<Peer>, &SharedKey)> {
        let mut found = None;
        for peer in &self.0 {
            for key in &peer.keys {
                if &*key.id == id {
                    found = Some((peer, key));
                }
            }
        }
        found
    }

    /// The peer that a certificate alone is proof of.
    pub(super) fn certified(&self, certificate: Option<&CertificateDer<'_>>) -> Option<&Arc<Peer>> {
        self.0.iter().find(|peer| peer.keys.is_empty() && peer.is_certified_by(certificate))
    }

    /// Whether the certificate is the one that this peer needs beside its key, if it needs one.
    pub(super) fn is_complete(peer: &Peer, certificate: Option<&CertificateDer<'_>>) -> bool {
        !peer.has_certificate() || peer.is_certified_by(certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> SharedKey {
        SharedKey::new(id, [7; 32]).unwrap()
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused_and_none_is_shown() {
        let error = SharedKey::new("a", b"too short").unwrap_err();
        assert_eq!(error, KeyError::Short { id: "a".to_owned(), length: 9 });
        assert!(SharedKey::new("", [7; 32]).is_err());
        let shown = format!("{:?}", SharedKey::new("a", b"0123456789abcdef").unwrap());
        assert_eq!(shown, r#"SharedKey { id: "a", .. }"#);
    }

    #[test]
    fn peers_that_cannot_have_been_meant_are_refused_in_words() {
        let problem = |peers: Vec<Peer>| {
            let mut all = Peers::default();
            peers.into_iter().for_each(|peer| all.add(peer));
            all.problem().unwrap_or_default()
        };
        assert_eq!(
            problem(vec![Peer::named("a").key(key("1")), Peer::named("b").key(key("2"))]),
            ""
        );
        assert!(problem(vec![Peer::named("a")]).contains("nothing to prove"));
        let twice = vec![Peer::named("a").key(key("1")), Peer::named("a").key(key("2"))];
        assert!(problem(twice).contains("named `a`"));
        let same_key = vec![Peer::named("a").key(key("1")), Peer::named("b").key(key("1"))];
        assert!(problem(same_key).contains("named `1`"));
        assert!(problem(vec![Peer::named("a").certificate("no name")]).contains("neither a DNS"));
    }

    #[test]
    fn a_peer_without_a_list_may_send_everything() {
        let (one, other) = (MessageType::new("one", 1), MessageType::new("one", 2));
        assert!(Peer::named("a").may_send(&one));
        let peer = Peer::named("a").allow_type(one.clone());
        assert!(peer.may_send(&one) && !peer.may_send(&other));
    }
}
