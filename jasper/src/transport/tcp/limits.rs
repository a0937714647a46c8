//! What one peer and all peers together may use up.

use std::time::Duration;

use super::frame::LENGTH;

/// More pings than one in this time would keep a connection busy with nothing else.
const SHORTEST_PING: Duration = Duration::from_millis(100);

/// No frame is larger, whatever the configuration says: 256 MiB.
pub(super) const CEILING: usize = 256 << 20;
/// Room for the receipts of the most envelopes that a frame can hold, each without its reason.
pub(super) const FLOOR: usize = 16 << 10;
/// Batches, and requests, that a peer may send before it has an answer to any: never more.
pub(super) const MOST_IN_FLIGHT: usize = 1 << 16;
/// No time is longer, so that no sum of times overflows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What one peer and all peers together may use up, and how long they may take: a day at most.
///
/// ```
/// use jasper::transport::tcp::Limits;
///
/// let limits = Limits::default().frame(16 << 20).memory(256 << 20);
/// assert_eq!(limits.frame, 16 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest frame, in bytes, that this side takes: 4 MiB. It bounds the largest message.
    pub frame: usize,
    /// The largest frame, in bytes, before a peer has proved who it is: 4 KiB.
    pub first_frame: usize,
    /// Connections that a process takes at all its listeners together: 512.
    pub connections: usize,
    /// Connections that one peer has at all listeners together: 128. What has not proved who it is
    /// is counted by its address.
    pub peer_connections: usize,
    /// Connections that are not yet taken, at all listeners together: 256.
    pub handshakes: usize,
    /// Connections from one address that are not yet taken: 64.
    pub address_handshakes: usize,
    /// Bytes of received messages in memory, for all connections together: 64 MiB. Where they are
    /// used up, connections wait to be read; one frame at a time may go beyond, so that they never
    /// wait for each other. One peer has at most half of it, and one connection a quarter.
    pub memory: usize,
    /// How long connecting, TLS and the proof of who is who may take together: 5 s.
    pub handshake: Duration,
    /// How long a frame may take from its first byte to its last, in either direction: 30 s.
    pub frame_time: Duration,
    /// A peer that is silent for longer is taken for dead: 60 s.
    pub idle: Duration,
    /// After this silence the side that dialled asks whether the other is there: 20 s.
    pub ping: Duration,
    /// How long a sender waits for receipts: 30 s.
    pub receipt: Duration,
    /// Bytes that a peer may send before it has an answer to any: 8 MiB, and no less than a frame.
    pub window: usize,
    /// Batches that a peer may send before it has the receipts of any: 64.
    pub batches: usize,
    /// Requests that a peer may send before it has the answer to any: 256.
    pub requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: 4 << 20,
            first_frame: 4 << 10,
            connections: 512,
            peer_connections: 128,
            handshakes: 256,
            address_handshakes: 64,
            memory: 64 << 20,
            handshake: Duration::from_secs(5),
            frame_time: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            receipt: Duration::from_secs(30),
            window: 8 << 20,
            batches: 64,
            requests: 256,
        }
    }
}

impl Limits {
    /// The largest frame in bytes, from 16 KiB to 256 MiB; what is outside becomes the nearest.
    #[must_use]
    pub fn frame(mut self, bytes: usize) -> Self {
        self.frame = bytes.clamp(FLOOR, CEILING);
        self
    }

    /// The largest frame in bytes before a peer has proved who it is, from 1 KiB to 64 KiB.
    #[must_use]
    pub fn first_frame(mut self, bytes: usize) -> Self {
        self.first_frame = bytes.clamp(1 << 10, 64 << 10);
        self
    }

    /// Connections that are taken; at least one.
    #[must_use]
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count.clamp(1, 1 << 20);
        self
    }

    /// Connections of one peer; at least one.
    #[must_use]
    pub fn peer_connections(mut self, count: usize) -> Self {
        self.peer_connections = count.clamp(1, 1 << 20);
        self
    }

    /// Connections that are not yet taken; at least one.
    #[must_use]
    pub fn handshakes(mut self, count: usize) -> Self {
        self.handshakes = count.clamp(1, 1 << 20);
        self
    }

    /// Connections from one address that are not yet taken; at least one.
    #[must_use]
    pub fn address_handshakes(mut self, count: usize) -> Self {
        self.address_handshakes = count.clamp(1, 1 << 20);
        self
    }

    /// Bytes of received messages in memory; at least 16 KiB.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes.max(FLOOR);
        self
    }

    /// How long it may take until two sides know each other.
    #[must_use]
    pub fn handshake(mut self, limit: Duration) -> Self {
        self.handshake = limit.min(LONGEST);
        self
    }

    /// How long a frame may take.
    #[must_use]
    pub fn frame_time(mut self, limit: Duration) -> Self {
        self.frame_time = limit.min(LONGEST);
        self
    }

    /// After how much silence a peer is taken for dead, at least 200 ms, and after how much it is
    /// asked: at least 100 ms, and at most half of the former.
    #[must_use]
    pub fn idle(mut self, dead: Duration, ping: Duration) -> Self {
        self.idle = dead.clamp(SHORTEST_PING * 2, LONGEST);
        self.ping = ping.clamp(SHORTEST_PING, self.idle / 2);
        self
    }

    /// How long a sender waits for receipts.
    #[must_use]
    pub fn receipt(mut self, limit: Duration) -> Self {
        self.receipt = limit.min(LONGEST);
        self
    }

    /// Bytes that a peer may send before it has an answer to any; at most 256 MiB.
    #[must_use]
    pub fn window(mut self, bytes: usize) -> Self {
        self.window = bytes.min(CEILING);
        self
    }

    /// Batches that a peer may send before it has the receipts of any; at least one.
    #[must_use]
    pub fn batches(mut self, count: usize) -> Self {
        self.batches = count.clamp(1, MOST_IN_FLIGHT);
        self
    }

    /// Requests that a peer may send before it has the answer to any; at least one.
    #[must_use]
    pub fn requests(mut self, count: usize) -> Self {
        self.requests = count.clamp(1, MOST_IN_FLIGHT);
        self
    }

    /// As the setters leave them, whichever way they were set.
    pub(super) fn clamped(self) -> Self {
        self.frame(self.frame)
            .first_frame(self.first_frame)
            .connections(self.connections)
            .peer_connections(self.peer_connections)
            .handshakes(self.handshakes)
            .address_handshakes(self.address_handshakes)
            .memory(self.memory)
            .handshake(self.handshake)
            .frame_time(self.frame_time)
            .receipt(self.receipt)
            .idle(self.idle, self.ping)
            .window(self.window)
            .batches(self.batches)
            .requests(self.requests)
    }

    /// The window that peers are given: it has room for the largest frame with its length.
    pub(super) fn open_window(&self) -> usize {
        self.window.max(self.frame + LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_becomes_the_nearest_that_is_not() {
        let mut limits = Limits::default();
        assert_eq!(limits.clamped(), limits);
        limits.frame = usize::MAX;
        limits.memory = 0;
        limits.batches = 0;
        limits.idle = Duration::MAX;
        limits.ping = Duration::MAX;
        let clamped = limits.clamped();
        assert_eq!((clamped.frame, clamped.memory, clamped.batches), (CEILING, FLOOR, 1));
        assert_eq!((clamped.idle, clamped.ping), (LONGEST, LONGEST / 2));
        assert!(clamped.open_window() > clamped.frame);
    }
}
