//! Proofs: what only the holder of a key can compute, and about this connection only.

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::super::frame::{Nonce, Proof};
use super::super::streams::Binding;

/// Begins what is signed, so that no other use of the key can be taken for a proof.
const LABEL: &[u8] = b"jasper tcp proof";

/// Who proves something. A proof of one side is none of the other, so it cannot be sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// What both sides have said so far. It holds the nonces of both, so that no two are the same; the
/// versions that were offered and the one that was chosen, so that no one between the two can make
/// them choose an older one; the name of the key; and the session of TLS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transcript<'a> {
    pub(super) hello: &'a [u8],
    pub(super) welcome: &'a [u8],
    pub(super) binding: Option<&'a Binding>,
}

impl Transcript<'_> {
    pub(super) fn prove(&self, role: Role, key: &hmac::Key) -> Proof {
        let mut proof = [0; _];
        proof.copy_from_slice(hmac::sign(key, &self.signed(role)).as_ref());
        proof
    }

    /// Takes the same time whether or not the proof is right.
    pub(super) fn verify(&self, role: Role, key: &hmac::Key, proof: &Proof) -> bool {
        hmac::verify(key, &self.signed(role), proof).is_ok()
    }

    /// Every part has its length before it, so that no two transcripts give the same bytes.
    fn signed(&self, role: Role) -> Vec<u8> {
        let role: &[u8] = match role {
            Role::Client => b"client",
            Role::Server => b"server",
        };
        let binding = self.binding.map_or(&[][..], |binding| binding);
        let mut out = Vec::with_capacity(256);
        for part in [LABEL, role, self.hello, self.welcome, binding] {
            // A first frame has a few KiB, so the length never needs more bytes.
            out.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend(part);
        }
        out
    }
}

/// Random bytes of the system.
pub(super) fn nonce() -> Result<Nonce, &'static str> {
    let mut nonce = [0; _];
    SystemRandom::new().fill(&mut nonce).map_err(|_error| "the system has no random bytes")?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    #[test]
    fn a_proof_holds_for_its_role_key_session_and_words_only() {
        let binding = [9; 32];
        let said = Transcript { hello: b"hello", welcome: b"welcome", binding: Some(&binding) };
        let proof = said.prove(Role::Client, &key(1));
        assert!(said.verify(Role::Client, &key(1), &proof));
        assert!(!said.verify(Role::Server, &key(1), &proof), "another role");
        assert!(!said.verify(Role::Client, &key(2), &proof), "another key");
        let others = [
            Transcript { hello: b"hellO", ..said },
            Transcript { welcome: b"welcomE", ..said },
            Transcript { binding: None, ..said },
            Transcript { binding: Some(&[8; 32]), ..said },
            Transcript { hello: b"hellow", welcome: b"elcome", ..said },
        ];
        for other in others {
            assert!(!other.verify(Role::Client, &key(1), &proof), "{other:?}");
        }
    }

    #[test]
    fn a_proof_is_what_the_protocol_says() {
        let said = Transcript { hello: b"h", welcome: b"ww", binding: None };
        let mut signed = Vec::new();
        for part in [&b"jasper tcp proof"[..], b"client", b"h", b"ww", b""] {
            signed.extend((part.len() as u32).to_be_bytes());
            signed.extend(part);
        }
        let expected = hmac::sign(&key(1), &signed);
        assert_eq!(said.prove(Role::Client, &key(1)), expected.as_ref());
    }

    #[test]
    fn no_two_nonces_are_the_same() {
        assert_ne!(nonce(), nonce());
    }
}
