//! What the bytes of a connection mean.

use super::mysql::MySql;
use super::postgres::Postgres;

/// The protocol of one connection, once it is known by who speaks first.
#[derive(Debug, Default)]
pub(super) enum Protocol {
    #[default]
    Unknown,
    Postgres(Postgres),
    MySql(MySql),
}

impl Protocol {
    /// Reads what the client sends: whether a `COMMIT` ends in it.
    pub(super) fn client_says(&mut self, chunk: &[u8]) -> bool {
        if matches!(self, Self::Unknown) {
            *self = Self::Postgres(Postgres::default());
        }
        match self {
            Self::Postgres(postgres) => postgres.client_says(chunk),
            Self::MySql(mysql) => mysql.client_says(chunk),
            Self::Unknown => false,
        }
    }

    /// Reads what the server sends: whether with it the client has all its answers.
    pub(super) fn server_says(&mut self, chunk: &[u8]) -> bool {
        if matches!(self, Self::Unknown) {
            *self = Self::MySql(MySql::default());
        }
        match self {
            Self::Postgres(postgres) => postgres.server_says(chunk),
            // One request at a time, and the server is silent until it has an answer.
            Self::MySql(_) | Self::Unknown => true,
        }
    }
}

/// Whether this text of a query is a commit.
pub(super) fn is_commit(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let ends = |next: &u8| !next.is_ascii_alphanumeric() && *next != b'_';
    text.len() >= 6 && text[..6].eq_ignore_ascii_case(b"commit") && text.get(6).is_none_or(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_known_by_its_first_word() {
        for text in ["COMMIT", "commit;", " \nCommit and chain", "COMMIT\0"] {
            assert!(is_commit(text.as_bytes()), "{text:?}");
        }
        for text in ["", "COMMI", "commits", "commit_all", "select 'commit'", "rollback"] {
            assert!(!is_commit(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn the_side_that_sends_first_shows_the_protocol() {
        let mut protocol = Protocol::default();
        protocol.client_says(b"\0");
        assert!(matches!(protocol, Protocol::Postgres(_)));
        let mut protocol = Protocol::default();
        protocol.server_says(b"\0");
        assert!(matches!(protocol, Protocol::MySql(_)));
    }
}
