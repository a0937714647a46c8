//! The messages of PostgreSQL, as far as commits and answers are to be found among them.

use super::protocol::is_commit;

/// Requests for encryption, which come before the start of a session and look like one.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// A server refuses a longer start of a session.
const LONGEST_START: u32 = 10_000;

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(super) struct Postgres {
    client: Messages,
    server: Messages,
    is_started: bool,
    /// It is another protocol in which the client speaks first.
    is_foreign: bool,
    /// Requests that end in `ReadyForQuery`; the start of the session is one.
    asked: u64,
    answered: u64,
}

impl Postgres {
    pub(super) fn client_says(&mut self, chunk: &[u8]) -> bool {
        if self.is_foreign {
            return false;
        }
        self.client.add(chunk);
        self.is_foreign =
            !self.is_started && self.client.length(0).is_some_and(|l| l > LONGEST_START);
        let mut has_commit = false;
        while let Some((kind, body)) = self.client.next(self.is_started) {
            match kind {
                START => self.start(&body),
                b'Q' => {
                    self.asked += 1;
                    has_commit |= is_commit(&body);
                }
                // Sync and FunctionCall.
                b'S' | b'F' => self.asked += 1,
                _ => {}
            }
        }
        has_commit
    }

    pub(super) fn server_says(&mut self, chunk: &[u8]) -> bool {
        // The answer to a request for encryption is one byte; here it is `N`, and no message.
        if !self.is_started {
            return true;
        }
        self.server.add(chunk);
        while let Some((kind, _)) = self.server.next(true) {
            self.answered += u64::from(kind == b'Z');
        }
        self.answered >= self.asked
    }

    fn start(&mut self, body: &[u8]) {
        let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
        if !code.is_some_and(|code| ENCRYPTION.contains(&code)) {
            self.is_started = true;
            self.asked = 1;
        }
    }
}

/// The kind of a message without one.
const START: u8 = 0;

/// Whole messages out of bytes that come in any pieces.
#[derive(Debug, Default)]
struct Messages {
    bytes: Vec<u8>,
}

impl Messages {
    fn add(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    fn length(&self, at: usize) -> Option<u32> {
        self.bytes.get(at..)?.first_chunk().map(|length| u32::from_be_bytes(*length))
    }

    /// The next message that is whole: its kind and its body. Until a session has started, messages
    /// have no kind.
    fn next(&mut self, has_kind: bool) -> Option<(u8, Vec<u8>)> {
        let head = usize::from(has_kind);
        let length = self.length(head)?;
        // The length counts itself. What is shorter is no message, and is skipped as an empty one.
        let end = head + usize::try_from(length).ok()?.max(4);
        if self.bytes.len() < end {
            return None;
        }
        let kind = if has_kind { self.bytes[0] } else { START };
        let body = self.bytes[head + 4..end].to_vec();
        self.bytes.drain(..end);
        Some((kind, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [kind, &length.to_be_bytes(), body].concat()
    }

    fn start() -> Vec<u8> {
        message(b"", b"\0\x03\0\0user\0postgres\0\0")
    }

    fn encryption() -> Vec<u8> {
        message(b"", &80_877_103_u32.to_be_bytes())
    }

    fn commit() -> Vec<u8> {
        message(b"Q", b"COMMIT\0")
    }

    fn ready() -> Vec<u8> {
        message(b"Z", b"I")
    }

    /// Every way to split these bytes in two, the whole in one piece included.
    fn splits(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..bytes.len()).map(|at| bytes.split_at(at))
    }

    #[test]
    fn a_commit_is_found_once_it_is_whole_however_it_is_split() {
        let select = message(b"Q", b"select 'COMMIT'\0");
        let bytes = [encryption(), start(), select, commit()].concat();
        for (first, second) in splits(&bytes) {
            let mut postgres = Postgres::default();
            assert!(!postgres.client_says(first), "in {first:?}");
            assert!(postgres.client_says(second), "in {second:?} after {first:?}");
        }
        let mut postgres = Postgres::default();
        let found: Vec<bool> = bytes.iter().map(|byte| postgres.client_says(&[*byte])).collect();
        assert_eq!(found.iter().filter(|found| **found).count(), 1);
        assert!(found.ends_with(&[true]));
    }

    #[test]
    fn a_commit_amid_other_requests_is_found() {
        let sync = message(b"S", b"");
        let mut postgres = Postgres::default();
        assert!(!postgres.client_says(&start()));
        assert!(postgres.client_says(&[sync.clone(), commit(), sync].concat()));
    }

    #[test]
    fn only_the_answer_to_the_last_request_counts() {
        let mut postgres = Postgres::default();
        postgres.client_says(&start());
        assert!(postgres.server_says(&[message(b"R", b"\0\0\0\0"), ready()].concat()));
        postgres.client_says(&message(b"Q", b"select 1\0"));
        assert!(postgres.client_says(&commit()));
        assert!(!postgres.server_says(&ready()), "that was the answer to the select");
        assert!(!postgres.server_says(&message(b"A", b"a notification")));
        assert!(!postgres.server_says(&message(b"C", b"COMMIT\0")), "not ready yet");
        assert!(postgres.server_says(&ready()));
    }

    #[test]
    fn an_answer_is_found_however_it_is_split() {
        let bytes = [message(b"C", b"COMMIT\0"), ready()].concat();
        for (first, second) in splits(&bytes) {
            let mut postgres = Postgres::default();
            postgres.client_says(&start());
            assert!(!postgres.server_says(first));
            assert!(postgres.server_says(second));
        }
    }

    #[test]
    fn an_encryption_that_is_refused_is_no_message() {
        let mut postgres = Postgres::default();
        postgres.client_says(&encryption());
        assert!(postgres.server_says(b"N"));
        postgres.client_says(&start());
        assert!(!postgres.server_says(&message(b"R", b"\0\0\0\0")));
        assert!(postgres.server_says(&ready()));
    }

    #[test]
    fn another_protocol_has_no_commits_and_every_answer_counts() {
        let mut foreign = Postgres::default();
        assert!(!foreign.client_says(b"AMQP\0\0\x09\x01"));
        assert!(!foreign.client_says(&commit()));
        assert!(foreign.server_says(b"\x01"));
    }
}
