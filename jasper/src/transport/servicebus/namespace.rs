//! Where a namespace is, and what opens it: a connection string, read.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A namespace with the credentials for it. `Debug` and `Display` show no key and no token.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Namespace {
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether AMQP goes through a WebSocket.
    pub(super) is_web_socket: bool,
    /// Where it is managed over HTTP.
    pub(super) management_port: u16,
    /// Whether it says that it is an emulator, which has no TLS.
    pub(super) is_emulator: bool,
    pub(super) access: Access,
}

/// What opens a namespace.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// A shared access key, by which tokens are signed here.
    Key { name: String, key: String },
    /// A token that was signed elsewhere, and is used until it expires.
    Signature(String),
    /// The connection string has none: the transport has a credential.
    Credential,
}

const FORM: &str = "it is not the address of a namespace: write \
                    `Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=…;\
                    SharedAccessKey=…`, as the portal shows it";
const UNKNOWN: &str = "it has an entry that this transport does not know: it knows `Endpoint`, \
                       `SharedAccessKeyName`, `SharedAccessKey`, `SharedAccessSignature`, \
                       `EntityPath`, `UseDevelopmentEmulator`, `TransportType` and \
                       `ManagementPort`";
const NO_TRANSPORT: &str = "`TransportType` is `Amqp` or `AmqpWebSockets`";
const NO_PORT: &str = "`ManagementPort` is a number from 1 to 65535";
const HALF: &str = "`SharedAccessKeyName` and `SharedAccessKey` belong together: one is missing";
const TWO: &str = "it has a key and a token: leave one of the two out";

const TLS_PORT: u16 = 5671;
const PLAIN_PORT: u16 = 5672;
const HTTPS_PORT: u16 = 443;
/// Of Microsoft's emulator.
const EMULATOR_MANAGEMENT_PORT: u16 = 5300;

/// The entries of a connection string, as far as they matter here.
#[derive(Default)]
struct Entries<'a> {
    endpoint: Option<&'a str>,
    name: Option<&'a str>,
    key: Option<&'a str>,
    signature: Option<&'a str>,
    management_port: Option<&'a str>,
    is_web_socket: bool,
    is_emulator: bool,
}

impl FromStr for Namespace {
    type Err = &'static str;

    /// The error quotes nothing: a key may stand in what cannot be read.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = Entries::read(text.trim())?;
        let (host, port) = place(entries.endpoint.ok_or(FORM)?)?;
        let (default, default_management) = if entries.is_emulator {
            (PLAIN_PORT, EMULATOR_MANAGEMENT_PORT)
        } else {
            (TLS_PORT, HTTPS_PORT)
        };
        let default = if entries.is_web_socket { default_management } else { default };
        let management_port = match entries.management_port.map(str::parse) {
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return Err(NO_PORT),
            None => default_management,
        };
        let access = match (entries.name, entries.key, entries.signature) {
            (Some(name), Some(key), None) => {
                Access::Key { name: name.to_owned(), key: key.to_owned() }
            }
            (None, None, Some(signature)) => Access::Signature(signature.to_owned()),
            (None, None, None) => Access::Credential,
            (_, _, None) => return Err(HALF),
            (_, _, Some(_)) => return Err(TWO),
        };
        let port = port.unwrap_or(default);
        let Entries { is_emulator, is_web_socket, .. } = entries;
        Ok(Self { host, port, is_web_socket, management_port, is_emulator, access })
    }
}

impl<'a> Entries<'a> {
    fn read(text: &'a str) -> Result<Self, &'static str> {
        // A namespace alone, for those who have a credential.
        if text.starts_with("sb://") {
            return Ok(Self { endpoint: Some(text), ..Self::default() });
        }
        let mut entries = Self::default();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            // A key may have `=` in it.
            let (name, value) = entry.split_once('=').ok_or(FORM)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "endpoint" => entries.endpoint = Some(value),
                "sharedaccesskeyname" => entries.name = Some(value),
                "sharedaccesskey" => entries.key = Some(value),
                "sharedaccesssignature" => entries.signature = Some(value),
                "usedevelopmentemulator" => {
                    entries.is_emulator = value.eq_ignore_ascii_case("true");
                }
                "transporttype" if value.eq_ignore_ascii_case("AmqpWebSockets") => {
                    entries.is_web_socket = true;
                }
                "transporttype" if value.eq_ignore_ascii_case("Amqp") => {}
                "transporttype" => return Err(NO_TRANSPORT),
                "managementport" => entries.management_port = Some(value),
                // The addresses of endpoints say it.
                "entitypath" => {}
                _ => return Err(UNKNOWN),
            }
        }
        Ok(entries)
    }
}

/// The host and the port of `sb://host:port/`.
fn place(endpoint: &str) -> Result<(String, Option<u16>), &'static str> {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_scheme, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host = |host: &str| !host.is_empty() && !host.contains(['@', ' ', '[', ']']);
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(FORM)?;
        let _address: Ipv6Addr = host.parse().map_err(|_error| FORM)?;
        let port = port.strip_prefix(':').map(str::parse).transpose().map_err(|_error| FORM)?;
        return Ok((host.to_owned(), port));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_error| FORM)?)),
        None => (authority, None),
    };
    if is_host(host) && !host.contains(':') { Ok((host.to_owned(), port)) } else { Err(FORM) }
}

impl Namespace {
    /// Whether what is sent there cannot leave this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_name) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// The value of the header `Host` where it is managed.
    pub(super) fn management_host(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.management_port {
            HTTPS_PORT => host,
            port => format!("{host}:{port}"),
        }
    }

    /// Where AMQP goes through a WebSocket. TLS is below it, so that the address does not say it.
    pub(super) fn web_socket(&self) -> String {
        let place = self.to_string();
        let place = place.strip_prefix("sb").unwrap_or(&place);
        format!("ws{place}/$servicebus/websocket/")
    }

    /// What a token for this entity is for.
    pub(super) fn resource(&self, entity: &str) -> String {
        format!("sb://{}/{entity}", self.host)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "sb://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "sb://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Namespace {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_string_says_where_and_with_what() {
        let cloud = read(
            "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=root;\
             SharedAccessKey=secret=;EntityPath=orders",
        );
        assert_eq!((cloud.host.as_str(), cloud.port), ("shop.servicebus.windows.net", 5671));
        let key = Access::Key { name: "root".to_owned(), key: "secret=".to_owned() };
        assert!(cloud.access == key && !cloud.is_emulator && !cloud.is_loopback());
        assert_eq!(cloud.resource("orders"), "sb://shop.servicebus.windows.net/orders");
        let emulator = read(
            "Endpoint=sb://127.0.0.1:7001;UseDevelopmentEmulator=true;SharedAccessSignature=\
             SharedAccessSignature sr=a&sig=b&se=1&skn=c;",
        );
        assert!(emulator.is_emulator && emulator.is_loopback() && emulator.port == 7001);
        assert_eq!((cloud.management_port, emulator.management_port), (443, 5300));
        let elsewhere = read("Endpoint=sb://h;UseDevelopmentEmulator=true;ManagementPort=7002");
        assert_eq!((elsewhere.port, elsewhere.management_port), (5672, 7002));
        let web = read("Endpoint=sb://h;TransportType=AmqpWebSockets");
        assert!(web.is_web_socket && web.port == 443 && !cloud.is_web_socket);
        let token = "SharedAccessSignature sr=a&sig=b&se=1&skn=c";
        assert!(emulator.access == Access::Signature(token.to_owned()));
        let bare = read("sb://[::1]:9");
        assert_eq!((bare.host.as_str(), bare.port, bare.is_loopback()), ("::1", 9, true));
        assert!(bare.access == Access::Credential);
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_of_it_is_quoted() {
        for (text, expected) in [
            ("", FORM),
            ("amqps://canary@host", FORM),
            ("Endpoint=sb://canary@host/", FORM),
            ("Endpoint=sb://host:canary/", FORM),
            ("Endpoint=sb://host/;SharedAccessKey=canary", HALF),
            ("Endpoint=sb://host/;SharedAccessKeyName=canary", HALF),
            ("Endpoint=sb://host/;Password=canary", UNKNOWN),
            ("Endpoint=sb://host/;ManagementPort=canary", NO_PORT),
            ("Endpoint=sb://host/;TransportType=canary", NO_TRANSPORT),
            (
                "Endpoint=sb://h/;SharedAccessSignature=canary;SharedAccessKeyName=a;\
                 SharedAccessKey=b",
                TWO,
            ),
        ] {
            let error = text.parse::<Namespace>().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.contains("canary"));
        }
    }

    #[test]
    fn a_namespace_is_shown_without_its_key() {
        let text = "Endpoint=sb://host/;SharedAccessKeyName=root;SharedAccessKey=canary";
        for shown in [read(text).to_string(), format!("{:?}", read(text))] {
            assert_eq!(shown, "sb://host:5671");
        }
    }
}
