//! Where a database is and how to log in, out of a connection string in ADO form or a URL.

use percent_encoding::percent_decode_str;
use tiberius::{AuthMethod, Config, EncryptionLevel};
use url::Url;

use crate::store::StoreError;

/// How a URL begins.
const SCHEMES: [&str; 2] = ["sqlserver", "mssql"];

/// The parameters of a URL.
const PARAMETERS: &str = "`encrypt`, `trust_server_certificate`, `trust_server_certificate_ca`, \
    `host_name_in_certificate`, `application_name`, `instance`, `multi_subnet_failover`";

/// What a connection string says. It is not repeated in errors, as it may have a password in it.
///
/// # Errors
/// It is none.
pub(super) fn parse(text: &str) -> Result<Config, StoreError> {
    let parsed = match text.split_once("://") {
        Some((scheme, _rest)) if SCHEMES.contains(&scheme) => of_url(text),
        Some(_other) if !text.contains(';') => {
            Err("a URL of SQL Server begins with `sqlserver://`".to_owned())
        }
        _ado => of_ado(text),
    };
    parsed.map_err(|detail| StoreError::Unsuitable {
        place: "the connection string".to_owned(),
        detail,
    })
}

fn of_ado(text: &str) -> Result<Config, String> {
    if !text.contains('=') {
        return Err("it is neither in ADO form, such as `Server=tcp:host,1433;Database=shop;\
                    User Id=app;Password=…`, nor a URL that begins with `sqlserver://`"
            .to_owned());
    }
    // What the driver says of it repeats keywords and nothing else.
    let config = Config::from_ado_string(text).map_err(|error| error.to_string())?;
    if asks_for_windows(text) && !has_windows_authentication() {
        return Err("it asks for Windows authentication, which is a feature of the driver: name \
                    tiberius 0.13 among your dependencies with the feature `winauth` on Windows, \
                    or `integrated-auth-gssapi` elsewhere"
            .to_owned());
    }
    Ok(config)
}

/// Whether it says that the user of the operating system logs in.
fn asks_for_windows(ado: &str) -> bool {
    settings(ado).any(|setting| {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let name = name.replace(' ', "").to_lowercase();
        let value = value.trim().to_lowercase();
        name == "integratedsecurity" && matches!(&*value, "sspi" | "true" | "yes")
    })
}

/// The settings of a string in ADO form. A `;` between quotes belongs to a value.
fn settings(ado: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    ado.split(move |character| {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            (end, Some(begun)) if end == begun => quote = None,
            _ => {}
        }
        character == ';' && quote.is_none()
    })
}

/// Whether the driver is built with a way of the operating system to log in. Without one it takes
/// no notice of that setting, whatever it says, and logs in without a name.
fn has_windows_authentication() -> bool {
    Config::from_ado_string("Server=any;Integrated Security=neither").is_err()
}

fn of_url(text: &str) -> Result<Config, String> {
    let url = Url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
    let mut config = Config::new();
    let host = url.host_str().filter(|host| !host.is_empty());
    config.host(host.ok_or("its URL names no host")?);
    if let Some(port) = url.port() {
        config.port(port);
    }
    let database = decoded(url.path().trim_start_matches('/'))?;
    if !database.is_empty() {
        config.database(database);
    }
    if !url.username().is_empty() {
        let password = decoded(url.password().unwrap_or_default())?;
        config.authentication(AuthMethod::sql_server(decoded(url.username())?, password));
    }
    let (mut trusts_any, mut authority) = (false, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "encrypt" => config.encryption(encryption(&value)?),
            "trust_server_certificate" => trusts_any = flag(&name, &value)?,
            "trust_server_certificate_ca" => authority = Some(value.into_owned()),
            "host_name_in_certificate" => config.hostname_in_certificate(value),
            "application_name" => config.application_name(value),
            "instance" => config.instance_name(value),
            "multi_subnet_failover" => config.multi_subnet_failover(flag(&name, &value)?),
            other => {
                return Err(format!(
                    "`{other}` is no parameter of its URL; there are {PARAMETERS}"
                ));
            }
        }
    }
    match (trusts_any, authority) {
        (true, Some(_)) => {
            return Err(
                "`trust_server_certificate` and `trust_server_certificate_ca` exclude each \
                        other; leave one of them out"
                    .to_owned(),
            );
        }
        (true, None) => config.trust_cert(),
        (false, Some(authority)) => config.trust_cert_ca(authority),
        (false, None) => {}
    }
    Ok(config)
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_no_text| "it is not in UTF-8".to_owned())
}

fn encryption(value: &str) -> Result<EncryptionLevel, String> {
    match value {
        "true" => Ok(EncryptionLevel::Required),
        "strict" => Ok(EncryptionLevel::Strict),
        "false" => Ok(EncryptionLevel::Off),
        other => Err(format!("`encrypt` is `true`, `strict` or `false`, not `{other}`")),
    }
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    value.parse().map_err(|_other| format!("`{name}` is `true` or `false`, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_a_server() {
        let ado = "Server=tcp:db.example,1444;Database=shop;User Id=app;Password='s;e'";
        assert_eq!(parse(ado).unwrap().get_addr(), "db.example:1444");
        let url = "sqlserver://app:s%3Be@db.example:1444/shop?encrypt=strict&application_name=a";
        assert_eq!(parse(url).unwrap().get_addr(), "db.example:1444");
        assert_eq!(parse("mssql://db.example").unwrap().get_addr(), "db.example:1433");
    }

    #[test]
    fn what_is_wrong_is_said_and_no_secret_is_repeated() {
        let cases = [
            ("secret", "neither in ADO form"),
            ("postgres://app:secret@db/shop", "begins with `sqlserver://`"),
            ("sqlserver://app:secret@", "no URL"),
            ("sqlserver://app:secret@db?encrypt=yes", "`encrypt` is"),
            ("sqlserver://app:secret@db?x=1", "`x` is no parameter"),
            ("sqlserver://app:secret@db?trust_server_certificate=1", "`true` or `false`"),
            (
                "sqlserver://db?trust_server_certificate=true&trust_server_certificate_ca=a.pem",
                "exclude each other",
            ),
            ("Server=db;Password='secret", "quote"),
            ("Server=db;Integrated Security=SSPI", "the feature `winauth`"),
            ("Server=db;integratedsecurity= true;Password=secret", "Windows authentication"),
            ("Server=db;Encrypt=secretly;Password=secret", ""),
        ];
        for (text, expected) in cases {
            let refused = parse(text).unwrap_err();
            assert!(matches!(refused, StoreError::Unsuitable { .. }), "{refused:?}");
            assert!(!refused.is_transient(), "{refused}");
            let refused = refused.to_string();
            assert!(refused.contains(expected), "{text}: {refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn windows_authentication_is_asked_for_by_a_setting_and_not_by_a_value() {
        for own in ["Integrated Security=false", "Password='a;Integrated Security=SSPI;'", "User=a"]
        {
            assert!(!asks_for_windows(&format!("Server=db;{own}")), "{own}");
        }
        assert!(asks_for_windows("Integrated Security=yes ;Server=db"));
    }

    #[test]
    fn the_configuration_shows_no_password() {
        let config = parse("sqlserver://app:secret@db/shop").unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }
}
