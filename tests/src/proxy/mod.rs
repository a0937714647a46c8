//! A network that fails: a TCP proxy between a test and its database, which cuts connections where
//! it hurts most, around a commit.
//!
//! It recognises PostgreSQL and MySQL by which side sends first, and reads them as long as they are
//! not encrypted; the bytes of anything else it forwards.

mod connection;
mod mysql;
mod postgres;
mod protocol;
mod rule;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use self::rule::{Chance, Lost, Moment};

use self::connection::{Connection, Ended};
use self::rule::Rule;

/// A proxy in front of one server. Dropped, it closes all connections.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    network: Arc<Network>,
    accepting: JoinHandle<()>,
}

/// What all connections share.
struct Network {
    upstream: Mutex<SocketAddr>,
    rule: Mutex<Option<Rule>>,
    cuts: AtomicU64,
    swallowed: AtomicU64,
    /// Changes when all open connections fall silent.
    silence: watch::Sender<()>,
    /// Changes when all open connections are to be closed, and says how.
    closing: watch::Sender<Ending>,
    /// How many bytes go in one write; 0 for as many as there are.
    slice: AtomicUsize,
    is_paused: watch::Sender<bool>,
    delay: watch::Sender<Duration>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1, which forwards and nothing more.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let network = Arc::new(Network {
            upstream: Mutex::new(upstream),
            rule: Mutex::default(),
            cuts: AtomicU64::new(0),
            swallowed: AtomicU64::new(0),
            silence: watch::Sender::new(()),
            closing: watch::Sender::new(Ending::Close),
            slice: AtomicUsize::new(0),
            is_paused: watch::Sender::new(false),
            delay: watch::Sender::new(Duration::ZERO),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&network)));
        Self { addr, network, accepting }
    }

    /// A proxy in front of the server that this address of a database names.
    ///
    /// # Panics
    /// The address has no number of an IPv4 host and of a port.
    pub async fn in_front_of(url: &str) -> Self {
        let upstream = authority(url).parse().expect("an address with numbers for host and port");
        Self::start(upstream).await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same address of a database by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        url.replacen(authority(url), &self.addr.to_string(), 1)
    }

    /// Cuts a connection after its client has sent `COMMIT` as the text of a query.
    pub fn cut_commits(&self, chance: Chance) {
        *self.network.rule() = Some(Rule::commits(chance));
    }

    /// Cuts a connection after its client has sent bytes for which `is_meant` is true. It is shown
    /// what one read brought: mostly, but not for sure, one request.
    pub fn cut_after(&self, is_meant: impl FnMut(&[u8]) -> bool + Send + 'static, chance: Chance) {
        *self.network.rule() = Some(Rule::bytes(is_meant, chance));
    }

    /// Lets the connections of the next this many `COMMIT`s fall silent: they stay open, nothing
    /// passes any more, and no side is notified, also where the other closes. All others go on.
    pub fn swallow_commits(&self, lost: Lost, times: u64) {
        *self.network.rule() = Some(Rule::swallow_commits(lost, times));
    }

    /// As [`Proxy::swallow_commits`], of what a client has sent for which `is_meant` is true.
    pub fn swallow_after(
        &self,
        is_meant: impl FnMut(&[u8]) -> bool + Send + 'static,
        lost: Lost,
        times: u64,
    ) {
        *self.network.rule() = Some(Rule::swallow(is_meant, lost, times));
    }

    /// Lets every open connection fall silent. New ones are welcome.
    pub fn swallow_all(&self) {
        self.network.silence.send_replace(());
    }

    /// How many connections fell silent by [`Proxy::swallow_commits`] and [`Proxy::swallow_after`].
    pub fn swallowed(&self) -> u64 {
        self.network.swallowed.load(Ordering::SeqCst)
    }

    /// From now on cuts nothing by itself, and lets nothing fall silent.
    pub fn cut_nothing(&self) {
        *self.network.rule() = None;
    }

    /// How many connections were cut by [`Proxy::cut_commits`] and [`Proxy::cut_after`].
    pub fn cuts(&self) -> u64 {
        self.network.cuts.load(Ordering::SeqCst)
    }

    /// Closes every open connection. New ones are welcome.
    pub fn cut_all(&self) {
        self.end_all(Ending::Close);
    }

    /// Ends every open connection in this way. New ones are welcome.
    pub fn end_all(&self, ending: Ending) {
        self.network.closing.send_replace(ending);
    }

    /// Leads new connections to this server from now on.
    ///
    /// # Panics
    /// Never: nothing panics while it holds the address.
    pub fn lead_to(&self, upstream: SocketAddr) {
        *self.network.upstream.lock().expect("nobody panics with it") = upstream;
    }

    /// Writes this many bytes at once and no more, so that nothing arrives in one piece; 0 for all.
    pub fn slice(&self, bytes: usize) {
        self.network.slice.store(bytes, Ordering::SeqCst);
    }

    /// Holds back all bytes, of new connections too, until [`Proxy::resume`].
    pub fn pause(&self) {
        self.network.is_paused.send_replace(true);
    }

    /// Forwards again, nothing being lost.
    pub fn resume(&self) {
        self.network.is_paused.send_replace(false);
    }

    /// Forwards bytes so much later, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.network.delay.send_replace(delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Network {
    fn rule(&self) -> MutexGuard<'_, Option<Rule>> {
        self.rule.lock().expect("no predicate of a test panics")
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("cuts", &self.cuts).finish_non_exhaustive()
    }
}

/// The connections end with this task, as it owns theirs.
async fn accept(listener: TcpListener, network: Arc<Network>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                // Here and not in the task, so that it sees every later `cut_all`.
                let closing = network.closing.subscribe();
                let silence = network.silence.subscribe();
                connections.spawn(serve(client, Arc::clone(&network), closing, silence));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What goes wrong closes the connection, as a real network does.
async fn serve(
    mut client: TcpStream,
    network: Arc<Network>,
    mut closing: watch::Receiver<Ending>,
    mut silence: watch::Receiver<()>,
) {
    let upstream = *network.upstream.lock().expect("nobody panics with it");
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    let prepared = client.set_nodelay(true).and(server.set_nodelay(true));
    if prepared.is_err() {
        return;
    }
    let connection = Connection::new(&network);
    let silent = tokio::select! {
        ended = connection.forward(&mut client, &mut server) => match ended {
            Ok(Ended::Silent) => true,
            Ok(Ended::Closed) | Err(_) => return,
        },
        _ = silence.changed() => true,
        _ = closing.changed() => false,
    };
    if silent && closing.changed().await.is_err() {
        return;
    }
    let ending = *closing.borrow();
    match ending {
        Ending::Close => {}
        Ending::Reset => {
            // What is not delivered yet is thrown away, and the other side is notified.
            let _ = client.set_zero_linger().and(server.set_zero_linger());
        }
        Ending::HalfClose => {
            drop(server);
            let _ = client.shutdown().await;
            // What it still sends is thrown away.
            let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
        }
    }
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Both sides are notified.
    Close,
    /// Both sides are notified at once, and what is on its way is lost.
    Reset,
    /// The client is notified that nothing more will come, and may go on sending.
    HalfClose,
}

/// `127.0.0.1:5432` of `postgres://postgres@127.0.0.1:5432/postgres`.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    rest.rsplit('@').next().unwrap_or(rest)
}
