//! Where a broker is, and whether it is safe to talk to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};

/// Where a broker is, with the credentials for it. `Debug` and `Display` show no password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) uri: AMQPUri,
}

/// How often both connections say that they are there, in seconds, where the address does not say.
const HEARTBEAT: u16 = 10;

impl FromStr for Broker {
    type Err = &'static str;

    /// The error quotes nothing: a password may stand in what cannot be read.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let endpoint = "it is not the address of a broker: write \
                      `amqp://user:password@host:port/virtual-host`, or `amqps://…` for TLS";
        let mut uri: AMQPUri = text.parse().map_err(|_error| endpoint)?;
        if let Some(host) = in_brackets(text) {
            let _address: Ipv6Addr = host.parse().map_err(|_error| endpoint)?;
            uri.authority.host = format!("[{host}]");
        }
        uri.query.heartbeat = Some(uri.query.heartbeat.unwrap_or(HEARTBEAT));
        Ok(Self { uri })
    }
}

/// The host of an address that has it in brackets, where `lapin` reads none and takes this machine.
fn in_brackets(text: &str) -> Option<&str> {
    let (_scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    host.strip_prefix('[')?.split_once(']').map(|(host, _port)| host)
}

impl Broker {
    pub(super) fn is_under_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    pub(super) fn host(&self) -> &str {
        let host = &self.uri.authority.host;
        host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
    }

    /// Whether what is sent there cannot leave this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self.host().parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_name) => self.host().eq_ignore_ascii_case("localhost"),
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_under_tls() { "amqps" } else { "amqp" };
        let (host, port) = (&self.uri.authority.host, self.uri.authority.port);
        write!(f, "{scheme}://{host}:{port}")?;
        match self.uri.vhost.as_str() {
            "/" => Ok(()),
            vhost => write!(f, "/{vhost}"),
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_credentials() {
        let broker: Broker = "amqps://shop:secret@rabbit.internal/sales".parse().unwrap();
        for shown in [broker.to_string(), format!("{broker:?}")] {
            assert_eq!(shown, "amqps://rabbit.internal:5671/sales");
        }
        assert!(broker.is_under_tls() && !broker.is_loopback());
        let error = "amqp//shop:secret@rabbit".parse::<Broker>().unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_host_in_brackets_is_the_host() {
        for text in ["amqp://[2001:db8::1]", "amqps://me:[secret]@[2001:db8::1]:7/[shop]"] {
            assert_eq!(text.parse::<Broker>().unwrap().host(), "2001:db8::1", "{text}");
        }
        let other = "amqp://me:secret@rabbit.internal/[shop]".parse::<Broker>().unwrap();
        assert_eq!(other.host(), "rabbit.internal");
        assert!("amqp://[secret]".parse::<Broker>().is_err());
    }

    #[test]
    fn loopback_is_what_cannot_leave_the_machine() {
        let is = |text: &str| text.parse::<Broker>().unwrap().is_loopback();
        for text in ["amqp://localhost", "amqp://127.0.0.1:1", "amqp://[::1]:1"] {
            assert!(is(text), "{text}");
        }
        for text in ["amqp://10.0.0.1", "amqp://localhost.evil", "amqp://[::]:1"] {
            assert!(!is(text), "{text}");
        }
    }
}
