//! The packets of a MySQL client, as far as commits are to be found among them.

use super::protocol::is_commit;

const HEAD: usize = 4;
const QUERY: u8 = 3;

/// The client's direction of one connection.
#[derive(Debug, Default)]
pub(super) struct MySql {
    bytes: Vec<u8>,
}

impl MySql {
    pub(super) fn client_says(&mut self, chunk: &[u8]) -> bool {
        self.bytes.extend_from_slice(chunk);
        let mut has_commit = false;
        while let Some(packet) = self.next() {
            has_commit |= is_commit_query(&packet);
        }
        has_commit
    }

    /// The next packet that is whole.
    fn next(&mut self) -> Option<Vec<u8>> {
        let &[low, middle, high, _sequence] = self.bytes.first_chunk::<HEAD>()?;
        let length = usize::try_from(u32::from_le_bytes([low, middle, high, 0])).ok()?;
        let is_whole = self.bytes.len() >= HEAD + length;
        is_whole.then(|| self.bytes.drain(..HEAD + length).collect())
    }
}

/// A command begins with number 0; parts of a long one and of the log-in have later numbers.
fn is_commit_query(packet: &[u8]) -> bool {
    packet[3] == 0 && packet.get(HEAD) == Some(&QUERY) && is_commit(&packet[HEAD + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[sequence], body].concat()
    }

    #[test]
    fn a_commit_is_found_once_it_is_whole_however_it_is_split() {
        let log_in = packet(1, b"\x03commit");
        let select = packet(0, b"\x03select 'commit'");
        let prepare = packet(0, b"\x16commit");
        let bytes = [log_in, select, prepare, packet(0, b"\x03COMMIT")].concat();
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            let mut mysql = MySql::default();
            assert!(!mysql.client_says(first), "in {first:?}");
            assert!(mysql.client_says(second), "in {second:?} after {first:?}");
        }
        let mut mysql = MySql::default();
        let found: Vec<bool> = bytes.iter().map(|byte| mysql.client_says(&[*byte])).collect();
        assert_eq!(found.iter().filter(|found| **found).count(), 1);
        assert!(found.ends_with(&[true]));
    }

    #[test]
    fn an_empty_packet_is_no_commit() {
        let mut mysql = MySql::default();
        assert!(!mysql.client_says(&packet(0, b"")));
        assert!(mysql.client_says(&packet(0, b"\x03commit")));
    }
}
