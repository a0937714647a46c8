//! Frames in the bytes that a connection reads, as far as they are looked at.

/// The first four bytes of a header of the protocol, which is no frame.
const HEADER: [u8; 4] = *b"AMQP";
/// Of a header, and of the head of a frame.
const HEAD: usize = 8;
/// A described value whose descriptor is the number of a transfer.
const TRANSFER: [u8; 3] = [0x00, 0x53, 0x14];
/// No frame that is looked at is larger. Larger ones go by unseen.
const MOST: usize = 1024 * 1024;

/// Cuts frames out of a stream of bytes. Messages go by without a copy.
#[derive(Debug, Default)]
pub(super) struct Frames {
    collected: Vec<u8>,
    /// How many bytes of a frame go by.
    skipped: usize,
    is_broken: bool,
}

impl Frames {
    /// Takes the next bytes, and gives each frame that is whole, by its channel.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(u16, &[u8])) {
        while !bytes.is_empty() && !self.is_broken {
            if self.skipped > 0 {
                let count = self.skipped.min(bytes.len());
                self.skipped -= count;
                bytes = &bytes[count..];
                continue;
            }
            let wanted = self.wanted();
            let count = (wanted - self.collected.len()).min(bytes.len());
            self.collected.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.collected.len() == wanted {
                self.step(&mut found);
            }
        }
    }

    fn size(&self) -> usize {
        let head = [self.collected[0], self.collected[1], self.collected[2], self.collected[3]];
        u32::from_be_bytes(head) as usize
    }

    /// Where the body begins.
    fn start(&self) -> usize {
        usize::from(self.collected[4]) * 4
    }

    /// How many bytes are to be there before something can be said of them.
    fn wanted(&self) -> usize {
        if self.collected.len() < HEAD {
            return HEAD;
        }
        let peeked = (self.start() + TRANSFER.len()).min(self.size());
        if self.collected.len() < peeked { peeked } else { self.size() }
    }

    fn step(&mut self, found: &mut impl FnMut(u16, &[u8])) {
        let (count, size) = (self.collected.len(), self.size());
        if self.collected[..4] == HEADER {
            self.collected.clear();
            return;
        }
        if size < HEAD || self.start() < HEAD || self.start() > size {
            // The library says what is wrong with it.
            self.is_broken = true;
            self.collected = Vec::new();
            return;
        }
        let body = self.start();
        if count < size {
            let is_passed = self.collected.get(body..) == Some(&TRANSFER[..]) || size > MOST;
            if count > body && is_passed {
                self.skipped = size - count;
                self.collected.clear();
            }
            return;
        }
        let channel = u16::from_be_bytes([self.collected[6], self.collected[7]]);
        // The second byte of the second four says whether it is a frame of AMQP or of SASL.
        if self.collected[5] == 0 && count > body {
            found(channel, &self.collected[body..]);
        }
        self.collected.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, channel: u16, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEAD + body.len()).unwrap();
        let mut frame = size.to_be_bytes().to_vec();
        frame.extend_from_slice(&[2, kind]);
        frame.extend_from_slice(&channel.to_be_bytes());
        frame.extend_from_slice(body);
        frame
    }

    #[test]
    fn frames_are_found_however_the_bytes_come_and_messages_go_by() {
        let mut all = b"AMQP\x03\x01\x00\x00".to_vec();
        all.extend(frame(1, 0, b"\x00\x53\x40 sasl"));
        all.extend_from_slice(b"AMQP\x00\x01\x00\x00");
        all.extend(frame(0, 0, b""));
        all.extend(frame(0, 3, b"\x00\x53\x15 one"));
        let mut transfer = TRANSFER.to_vec();
        transfer.extend_from_slice(&[7; 5_000]);
        all.extend(frame(0, 3, &transfer));
        all.extend(frame(0, 4, b"\x00\x53\x12 two"));
        for portion in [1, 2, 7, 64, all.len()] {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for bytes in all.chunks(portion) {
                frames.feed(bytes, |channel, body| found.push((channel, body.to_vec())));
            }
            let expected = [(3, b"\x00\x53\x15 one".to_vec()), (4, b"\x00\x53\x12 two".to_vec())];
            assert_eq!(found, expected, "in portions of {portion}");
            assert!(frames.collected.capacity() < 5_000 || portion == all.len());
        }
    }

    #[test]
    fn bytes_that_are_no_frames_end_the_search_and_keep_nothing() {
        for bytes in [&b"\x00\x00\x00\x07\x02\x00\x00\x00"[..], b"\x00\x00\x00\x09\x01\x00\x00\x00"]
        {
            let mut frames = Frames::default();
            frames.feed(bytes, |_, _| panic!("no frame"));
            frames.feed(&[0; 100], |_, _| panic!("no frame"));
            assert!(frames.is_broken && frames.collected.is_empty());
        }
    }
}
