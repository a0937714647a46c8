//! The token that opens something of a namespace.

use super::credential::{AccessToken, given, signed};
use super::failure::{Fault, Refusal};
use super::namespace::Access;
use super::settings::Reached;
use crate::envelope::time;

/// Of what kind a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A shared access signature.
    Signature,
    /// One of Microsoft Entra ID.
    Entra,
}

impl TokenKind {
    /// As AMQP calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Signature => "servicebus.windows.net:sastoken",
            Self::Entra => "jwt",
        }
    }
}

/// A token for this resource.
///
/// # Errors
/// The credential gives none.
pub(super) async fn token(
    reached: &Reached,
    resource: &str,
) -> Result<(AccessToken, TokenKind), Fault> {
    let now = time::now();
    let token = match (&reached.namespace.access, &reached.credential) {
        (Access::Key { name, key }, _) => signed(name, key, resource, now),
        (Access::Signature(signature), _) => given(signature, now),
        (Access::Credential, Some(credential)) => {
            let token = credential.token().await;
            let token = token.map_err(|error| no_token(&error.to_string()))?;
            return Ok((token, TokenKind::Entra));
        }
        (Access::Credential, None) => return Err(no_token("there is none")),
    };
    Ok((token, TokenKind::Signature))
}

fn no_token(why: &str) -> Fault {
    Fault::Refused(Refusal::new("", format!("the credential gives no token: {why}")))
}
