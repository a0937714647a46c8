//! The protocol spoken by hand, from its description and not from the library's code.

use std::net::{IpAddr, SocketAddr};

use jasper::envelope::Envelope;
use jasper::transport::Listener;
use ring::hmac;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::receiver::within;

pub const HELLO: u8 = 1;
pub const WELCOME: u8 = 2;
pub const PROOF: u8 = 3;
pub const READY: u8 = 4;
pub const REJECTED: u8 = 5;
pub const BATCH: u8 = 6;
pub const RECEIPTS: u8 = 7;
pub const PING: u8 = 10;
pub const PONG: u8 = 11;
pub const BYE: u8 = 12;

/// One end of a connection.
pub struct Raw {
    pub stream: TcpStream,
}

pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 1).to_be_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

pub fn hello(versions: [u8; 2], nonce: [u8; 32], key_id: &str) -> Vec<u8> {
    let mut body = b"jasper\r\n".to_vec();
    body.extend(versions);
    body.extend(nonce);
    body.extend((4_u32 << 20).to_be_bytes());
    body.extend((key_id.len() as u16).to_be_bytes());
    body.extend(key_id.as_bytes());
    body
}

/// The body of a welcome with room for this many batches.
pub fn welcome(batches: u32) -> Vec<u8> {
    let mut body = vec![1];
    body.extend([9; 32]);
    for number in [1_u32 << 20, 1 << 20, batches, batches] {
        body.extend(number.to_be_bytes());
    }
    body
}

pub fn proof(role: &str, secret: &[u8], hello: &[u8], welcome: &[u8], binding: &[u8]) -> Vec<u8> {
    let mut signed = Vec::new();
    for part in [b"jasper tcp proof", role.as_bytes(), hello, welcome, binding] {
        signed.extend((part.len() as u32).to_be_bytes());
        signed.extend(part);
    }
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &signed).as_ref().to_vec()
}

pub fn batch(number: u64, envelopes: &[Vec<u8>]) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.push(0);
    body.extend((envelopes.len() as u32).to_be_bytes());
    for envelope in envelopes {
        body.extend((envelope.len() as u32).to_be_bytes());
        body.extend(envelope);
    }
    frame(BATCH, &body)
}

pub fn bytes_of(envelope: &Envelope) -> Vec<u8> {
    envelope.to_bytes().to_vec()
}

pub fn place_of(listener: &dyn Listener) -> String {
    listener.address().rest().to_owned()
}

impl Raw {
    pub async fn connect(listener: &dyn Listener) -> Self {
        Self { stream: TcpStream::connect(place_of(listener)).await.unwrap() }
    }

    /// Connects and is taken, without a key.
    pub async fn connected(listener: &dyn Listener) -> Self {
        let mut raw = Self::connect(listener).await;
        assert_eq!(raw.shake_hands().await, READY);
        raw
    }

    /// Connects from this address of the machine.
    pub async fn connect_from(address: [u8; 4], place: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::from(address), 0)).unwrap();
        Self { stream: within(socket.connect(place.parse().unwrap())).await.unwrap() }
    }

    /// Shakes hands without a key. What is read last: `READY`, or a refusal.
    pub async fn shake_hands(&mut self) -> u8 {
        self.send(&frame(HELLO, &hello([1, 1], [7; 32], ""))).await;
        assert_eq!(self.read().await.unwrap().0, WELCOME);
        self.send(&frame(PROOF, &[])).await;
        self.read().await.unwrap().0
    }

    /// Takes every client, with room for this many batches.
    pub async fn accepted(listener: &TcpListener, batches: u32) -> Self {
        let (stream, _from) = within(listener.accept()).await.unwrap();
        let mut raw = Self { stream };
        assert_eq!(raw.read().await.unwrap().0, HELLO);
        raw.send(&frame(WELCOME, &welcome(batches))).await;
        assert_eq!(raw.read().await.unwrap().0, PROOF);
        raw.send(&frame(READY, &[])).await;
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next frame, or `None` where the other side has ended the connection.
    pub async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut length = [0; 4];
        if within(self.stream.read_exact(&mut length)).await.is_err() {
            return None;
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        within(self.stream.read_exact(&mut frame)).await.unwrap();
        let body = frame.split_off(1);
        Some((frame[0], body))
    }

    /// The next frame that is no sign of life.
    pub async fn read_news(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            match self.read().await {
                Some((PING | PONG, _body)) => {}
                news => return news,
            }
        }
    }

    /// Waits until the other side has ended the connection, and gives its last words.
    pub async fn last_words(&mut self) -> String {
        let mut words = String::new();
        while let Some((kind, body)) = self.read().await {
            if kind == REJECTED {
                words = String::from_utf8_lossy(&body[3..]).into_owned();
            }
        }
        words
    }
}
