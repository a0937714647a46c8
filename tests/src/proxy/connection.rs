//! One connection of a client, and its own one to the server.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Network;
use super::protocol::Protocol;
use super::rule::{Fate, Lost, Moment};

const CHUNK: usize = 16 * 1024;

pub(super) struct Connection<'a> {
    network: &'a Network,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    protocol: Protocol,
    /// The request after whose answer the connection is cut is on its way.
    is_answer_lost: bool,
}

/// How the forwarding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Both sides are closed.
    Closed,
    /// Both sides stay open, and nothing passes any more.
    Silent,
}

impl<'a> Connection<'a> {
    pub(super) fn new(network: &'a Network) -> Self {
        Self { network, state: Mutex::default() }
    }

    /// Forwards until one of the two closes, or the rule says that it ends.
    pub(super) async fn forward(
        &self,
        client: &mut TcpStream,
        server: &mut TcpStream,
    ) -> io::Result<Ended> {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            ended = self.requests(from_client, to_server) => ended,
            ended = self.answers(from_server, to_client) => ended,
        }
    }

    async fn requests(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut server: impl AsyncWrite + Unpin,
    ) -> io::Result<Ended> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = client.read(&mut buffer).await?;
            if length == 0 {
                return Ok(Ended::Closed);
            }
            self.travel().await;
            let chunk = &buffer[..length];
            // Before it is forwarded, as the answer can be here as soon as it is.
            let fate = self.decide(chunk);
            if fate != Some(Fate::Silent(Lost::Request)) {
                self.pass(chunk, &mut server).await?;
            }
            match fate {
                None => {}
                Some(Fate::Cut(Moment::Forwarded)) => break,
                // What the client sends next is thrown away.
                Some(Fate::Cut(Moment::Answered)) => return std::future::pending().await,
                Some(Fate::Silent(_)) => {
                    self.network.swallowed.fetch_add(1, Ordering::SeqCst);
                    return Ok(Ended::Silent);
                }
            }
        }
        self.count_cut();
        Ok(Ended::Closed)
    }

    async fn answers(
        &self,
        mut server: impl AsyncRead + Unpin,
        mut client: impl AsyncWrite + Unpin,
    ) -> io::Result<Ended> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = server.read(&mut buffer).await?;
            if length == 0 {
                return Ok(Ended::Closed);
            }
            let chunk = &buffer[..length];
            let (is_answered, is_lost) = self.note(chunk);
            if is_lost && is_answered {
                break;
            }
            if !is_lost {
                self.travel().await;
                self.pass(chunk, &mut client).await?;
            }
        }
        self.count_cut();
        Ok(Ended::Closed)
    }

    /// Whole, or in slices where the network has become one of slices.
    async fn pass(&self, chunk: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let slice = self.network.slice.load(Ordering::SeqCst);
        if slice == 0 {
            return to.write_all(chunk).await;
        }
        for part in chunk.chunks(slice) {
            to.write_all(part).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// As long as it takes the bytes to arrive.
    async fn travel(&self) {
        let delay = *self.network.delay.borrow();
        if !delay.is_zero() {
            // Real time: this is a slow network, and no event waits at its end.
            tokio::time::sleep(delay).await;
        }
        let mut is_paused = self.network.is_paused.subscribe();
        // An error would say that the proxy is gone, and this connection with it.
        let _ = is_paused.wait_for(|is_paused| !is_paused).await;
    }

    fn decide(&self, chunk: &[u8]) -> Option<Fate> {
        let mut state = self.state();
        let has_commit = state.protocol.client_says(chunk);
        let fate = self.network.rule().as_mut().and_then(|rule| rule.decide(chunk, has_commit));
        state.is_answer_lost = fate == Some(Fate::Cut(Moment::Answered));
        fate
    }

    /// Whether all is answered now, and whether the client must not get the answer.
    fn note(&self, chunk: &[u8]) -> (bool, bool) {
        let mut state = self.state();
        (state.protocol.server_says(chunk), state.is_answer_lost)
    }

    fn count_cut(&self) {
        self.network.cuts.fetch_add(1, Ordering::SeqCst);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no predicate of a test panics")
    }
}
