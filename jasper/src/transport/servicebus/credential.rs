//! Tokens that open a namespace: signed here with a key, or given by the application.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

/// What is left as it is in a signature: letters, digits and these.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How long a token that is signed here is good for.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Gives tokens of Microsoft Entra ID, for a namespace whose connection string has no key.
///
/// The transport asks for one when it connects and before the last one expires. The scope to ask
/// Entra ID for is [`ENTRA_SCOPE`].
pub trait TokenCredential: fmt::Debug + Send + Sync + 'static {
    /// A token that is good from now on.
    ///
    /// # Errors
    /// There is none at present: the connection is not used, and it is tried again. Put no secret
    /// into the words.
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    fn token(&self) -> BoxFuture<'_, Result<AccessToken, CredentialError>>;
}

/// The scope of tokens for Service Bus.
pub const ENTRA_SCOPE: &str = "https://servicebus.azure.net/.default";

/// Why a credential gives no token.
pub type CredentialError = Box<dyn Error + Send + Sync>;

/// A token and when it expires. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    token: String,
    expires_at: SystemTime,
}

impl AccessToken {
    /// A token as Entra ID gives it, such as `eyJ…`.
    pub fn new(token: impl Into<String>, expires_at: SystemTime) -> Self {
        Self { token: token.into(), expires_at }
    }

    /// When it is of no use any more.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    pub(super) fn expose(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A token for this resource, by a shared access key.
pub(super) fn signed(name: &str, key: &str, resource: &str, now: SystemTime) -> AccessToken {
    let expires_at = now.checked_add(LIFETIME).unwrap_or(now);
    let expiry = seconds(expires_at);
    let resource = utf8_percent_encode(resource, ENCODED).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
    let signature = STANDARD.encode(signature);
    let (signature, name) =
        (utf8_percent_encode(&signature, ENCODED), utf8_percent_encode(name, ENCODED));
    let token =
        format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={name}");
    AccessToken { token, expires_at }
}

/// A token that was signed elsewhere, with the time that stands in it.
pub(super) fn given(signature: &str, now: SystemTime) -> AccessToken {
    let expiry = signature.split('&').find_map(|field| field.strip_prefix("se="));
    let expires_at = expiry
        .and_then(|text| text.parse().ok())
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let expires_at = expires_at.unwrap_or_else(|| now.checked_add(LIFETIME).unwrap_or(now));
    AccessToken { token: signature.to_owned(), expires_at }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_a_resource_and_a_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let token = signed("root", "secret", "sb://host/orders", now);
        let text = token.expose();
        let start = "SharedAccessSignature sr=sb%3A%2F%2Fhost%2Forders&sig=";
        assert!(text.starts_with(start) && text.ends_with("&se=4600&skn=root"), "{text}");
        assert_ne!(text, signed("root", "other", "sb://host/orders", now).expose());
        assert_eq!(seconds(given(text, now).expires_at()), 4_600);
    }

    #[test]
    fn no_token_is_shown() {
        let token = AccessToken::new("canary", UNIX_EPOCH);
        assert!(!format!("{token:?}").contains("canary"));
    }
}
