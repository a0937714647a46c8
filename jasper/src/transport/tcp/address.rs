//! Addresses of this transport: `scheme://host:port`, and nothing behind it.

use std::fmt;
use std::net::IpAddr;

use crate::envelope::Address;
use crate::transport::TransportError;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Authority {
    /// A name or an IP address, the latter without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Authority {
    pub(super) fn of(address: &Address) -> Result<Self, TransportError> {
        Self::parse(address.rest())
            .map_err(|why| TransportError::Address { address: address.to_string(), why })
    }

    fn parse(rest: &str) -> Result<Self, String> {
        if let Some(at) = rest.find(['/', '?', '#', '@']) {
            let extra = &rest[at..];
            return Err(format!("`{extra}` is too much: write `scheme://host:port`"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (host, behind) = inside.split_once(']').ok_or("`]` is missing")?;
                let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
                if !is_address {
                    return Err(format!("`{host}` in brackets is not an IPv6 address"));
                }
                (host, behind.strip_prefix(':').ok_or(MISSING_PORT)?)
            }
            None => rest.rsplit_once(':').ok_or(MISSING_PORT)?,
        };
        if host.is_empty() {
            return Err("the host is missing: write `scheme://host:port`".to_owned());
        }
        if host.contains(':') && !rest.starts_with('[') {
            return Err(format!("put an IPv6 address in brackets: `[{host}]:{port}`"));
        }
        let port = port.parse().map_err(|_bad| format!("`{port}` is not a port number"))?;
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }

    /// Whether what is sent there cannot leave this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_name) => self.host == "localhost",
        }
    }
}

const MISSING_PORT: &str = "the port is missing: write `scheme://host:port`";

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_read_and_written_alike() {
        for text in ["shop.internal:5580", "127.0.0.1:1", "[::1]:65535", "localhost:0"] {
            assert_eq!(Authority::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_refused_in_words() {
        let bad = [
            ("shop", "port is missing"),
            (":5580", "host is missing"),
            ("shop:", "not a port"),
            ("shop:65536", "not a port"),
            ("shop:1/queue", "`/queue` is too much"),
            ("user@shop:1", "too much"),
            ("::1:5580", "in brackets"),
            ("[::1:5580", "`]` is missing"),
            ("[shop]:1", "not an IPv6 address"),
            ("[::1]", "port is missing"),
        ];
        for (text, expected) in bad {
            let why = Authority::parse(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }

    #[test]
    fn loopback_is_what_cannot_leave_the_machine() {
        let is = |text: &str| Authority::parse(text).unwrap().is_loopback();
        for text in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "LOCALHOST:1", "[::ffff:127.0.0.1]:1"]
        {
            assert!(is(text), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "localhost.evil:1", "2130706433:1"] {
            assert!(!is(text), "{text}");
        }
    }
}
