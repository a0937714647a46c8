//! Shared access signatures, checked as the service checks them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use super::address::path_of;

const SCHEME: &str = "SharedAccessSignature ";

/// The one key of a broker.
#[derive(Clone)]
pub(super) struct AccessKey {
    pub(super) name: String,
    pub(super) key: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// A key of 16 random bytes.
    pub(super) fn random() -> Self {
        let bytes = fastrand::u128(..).to_be_bytes();
        Self { name: "RootManageSharedAccessKey".to_owned(), key: STANDARD.encode(bytes) }
    }

    /// The path that the token opens, and until when, in seconds since the Unix epoch; `""` is the
    /// whole namespace. `None` where the token is not of this key, or has expired.
    pub(super) fn opens(&self, token: &str, now_s: i64) -> Option<(String, i64)> {
        let fields = token.strip_prefix(SCHEME)?;
        let field = |name: &str| {
            let pairs = fields.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find_map(|(key, value)| (key == name).then_some(value))
        };
        let (resource, expiry) = (field("sr")?, field("se")?);
        let signature = STANDARD.decode(percent_decode(field("sig")?)?).ok()?;
        let is_known = percent_decode(field("skn")?)? == self.name;
        let until = expiry.parse::<i64>().ok().filter(|until| *until > now_s)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.as_bytes());
        let signed = format!("{resource}\n{expiry}");
        hmac::verify(&key, signed.as_bytes(), &signature).ok()?;
        is_known.then_some((path_of(&percent_decode(resource)?), until))
    }

    /// A token of this key for this resource, until this time in seconds since the Unix epoch.
    pub(super) fn sign(&self, resource: &str, until_s: i64) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let resource = encoded(resource);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.as_bytes());
        let signature = hmac::sign(&key, format!("{resource}\n{until_s}").as_bytes());
        let (signature, name) = (encoded(&STANDARD.encode(signature)), encoded(&self.name));
        format!("{SCHEME}sr={resource}&sig={signature}&se={until_s}&skn={name}")
    }

    /// Whether the response of SASL PLAIN is `\0name\0key`.
    pub(super) fn is_plain(&self, response: &[u8]) -> bool {
        let mut parts = response.split(|byte| *byte == 0).skip(1);
        parts.next() == Some(self.name.as_bytes()) && parts.next() == Some(self.key.as_bytes())
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::hmac;

    use super::AccessKey;

    fn token(key: &str, expiry: i64) -> String {
        let resource = "sb%3A%2F%2F127.0.0.1%3A5672%2FOrders";
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let signature = hmac::sign(&hmac_key, format!("{resource}\n{expiry}").as_bytes());
        let signature = STANDARD.encode(signature).replace('+', "%2B").replace('/', "%2F");
        let signature = signature.replace('=', "%3D");
        format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=root")
    }

    fn key() -> AccessKey {
        AccessKey { name: "root".to_owned(), key: "secret".to_owned() }
    }

    #[test]
    fn a_token_of_the_key_opens_its_resource() {
        let opened = key().opens(&token("secret", 100), 99);
        assert_eq!(opened, Some(("orders".to_owned(), 100)));
        let signed = key().sign("sb://127.0.0.1:5672/Orders", 100);
        assert_eq!(key().opens(&signed, 99), opened);
    }

    #[test]
    fn a_token_of_another_key_and_one_that_has_expired_open_nothing() {
        assert_eq!(key().opens(&token("other", 100), 99), None);
        assert_eq!(key().opens(&token("secret", 100), 100), None);
    }

    #[test]
    fn the_key_does_not_stand_in_the_debug_output() {
        assert!(!format!("{:?}", key()).contains("secret"));
    }
}
