//! Ten thousand connections that say nothing, or too much, beside one that works.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use tests::memory;
use tests::programs::listening;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CROWD: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Command, Serialize, Deserialize)]
#[command(name = "crowd.echo", to = "crowd", reply = String)]
struct Echo {
    text: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "crowd.nothing")]
struct Nothing;

#[handler]
async fn nothing(_event: Nothing) {}

/// A server in a process of its own, so that its memory is counted apart from that of the crowd.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        // The crowd takes a file descriptor each, here and there.
        rlimit::increase_nofile_limit(20_000).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_crowd-server"));
        let (child, address) = listening(&mut command).await;
        Self { child, addr: address.parse().unwrap() }
    }

    /// Its memory, in KiB.
    fn resident(&self) -> u64 {
        memory::resident_kib(self.child.id().unwrap())
    }

    async fn client(&self) -> Jasper {
        let builder = Jasper::builder().handler(nothing);
        builder.endpoint("crowd", format!("tcp://{}", self.addr)).start().await.unwrap()
    }
}

/// Asks until `until`, and says how long it took: p50 and p99.
async fn ask(client: &Jasper, mut until: watch::Receiver<bool>) -> [Duration; 2] {
    let mut times = Vec::new();
    while !*until.borrow_and_update() || times.len() < 100 {
        let started = Instant::now();
        let text = format!("request {}", times.len());
        let reply = client.bus().invoke(Echo { text: text.clone() }).await.unwrap();
        assert_eq!(reply, text);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

/// Connections of which every third says nothing, every third begins a greeting and does not end
/// it, and every third says its bytes one by one. They stay until the server closes them.
async fn crowd(addr: SocketAddr) {
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        let mut stream = TcpStream::connect(addr).await.expect("the server accepts");
        crowd.spawn(async move {
            match number % 3 {
                0 => {}
                1 => drop(stream.write_all(&[0, 0, 0, 60, 1, b'J']).await),
                _ => {
                    for byte in [0, 0, 0, 60, 1, b'J', b'A', b'S'] {
                        if stream.write_all(&[byte]).await.is_err() {
                            break;
                        }
                        // Real time: it is slow.
                        tokio::time::sleep(Duration::from_millis(400)).await;
                    }
                }
            }
            let mut rest = Vec::new();
            // An error is a close too.
            let _ = timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("it is closed");
        });
    }
    crowd.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_and_slow_connections_leave_one_that_works_alone() {
    let server = Server::start().await;
    let client = server.client().await;
    let (done, before) = watch::channel(true);
    let alone = ask(&client, before).await;
    let resident = server.resident();
    done.send_replace(false);
    let crowded = async {
        crowd(server.addr).await;
        done.send_replace(true);
    };
    let (crowded, ()) = tokio::join!(ask(&client, done.subscribe()), crowded);
    println!(
        "p50 and p99 of a request: {alone:?} alone, {crowded:?} beside {CROWD} connections; \
         {resident} KiB before, {} KiB after",
        server.resident()
    );
    client.stop().await.unwrap();
}

/// A connection from one of the addresses of this machine that no other test has.
async fn connect_from(number: usize, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let last = u8::try_from(number + 11).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// Opens this many connections that say this, and gives the memory that the server has then.
async fn resident_beside(server: &Server, says: impl Fn(usize) -> Vec<u8>) -> u64 {
    // No more than may be about to prove themselves, in all and from one address.
    const CONNECTIONS: usize = 240;
    const ADDRESSES: usize = 4;
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = connect_from(number % ADDRESSES, server.addr).await;
        // The server may have refused it before all is said.
        drop(stream.write_all(&says(number)).await);
        streams.push(stream);
    }
    // What was said before this is answered has been read.
    let client = server.client().await;
    ask(&client, watch::channel(true).1).await;
    client.stop().await.unwrap();
    server.resident()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_lengths_cost_no_memory() {
    let server = Server::start().await;
    let alone = server.resident();
    let silent = resident_beside(&server, |_number| Vec::new()).await;
    let mut hostile = 0;
    for _ in 0..5 {
        let says = |number: usize| {
            let length = [u32::MAX, 4 * 1024 * 1024, 4_000][number % 3].to_be_bytes();
            [length.as_slice(), &[1; 64]].concat()
        };
        hostile = hostile.max(resident_beside(&server, says).await);
    }
    println!("{alone} KiB alone, {silent} KiB beside silent and {hostile} KiB beside hostile ones");
    assert!(hostile.saturating_sub(silent) <= 16 * 1024);
}
