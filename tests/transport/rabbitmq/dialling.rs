//! Connections that end while they are opened.

use std::net::SocketAddr;
use std::time::Duration;

use jasper::transport::Direction;
use tests::Journal;
use tests::servers::rabbitmq_url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::bench::{note, receiver, sender, state, unique, wait_for_problem};

/// Less than a listener gives its broker to answer.
const SOON: Duration = Duration::from_secs(5);

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Close,
    Reset,
    HalfClose,
}

/// Forwards to the broker, and ends each connection after this many bytes from there.
async fn cutting(broker: SocketAddr, after: usize, ending: Ending) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(broker).await.unwrap();
            tokio::spawn(forward(client, upstream, after, ending));
        }
    });
    (address, task)
}

async fn forward(client: TcpStream, upstream: TcpStream, after: usize, ending: Ending) {
    if matches!(ending, Ending::Reset) {
        client.set_zero_linger().unwrap();
    }
    let (from_client, mut to_client) = client.into_split();
    let (from_broker, to_broker) = upstream.into_split();
    let requests = tokio::spawn(copy(from_client, to_broker));
    // The broker ends it where the client does, and the client where it has given up.
    let mut answers = from_broker.take(after as u64);
    if tokio::io::copy(&mut answers, &mut to_client).await.is_err() {
        return;
    }
    match ending {
        Ending::Close | Ending::Reset => requests.abort(),
        Ending::HalfClose => {
            to_client.shutdown().await.unwrap();
            requests.await.unwrap();
        }
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // Either end may be gone.
    let _ended = tokio::io::copy(&mut from, &mut to).await;
}

/// After how many bytes from the broker each of its first three frames ends.
async fn frame_ends(broker: SocketAddr) -> Vec<usize> {
    let mut broker = TcpStream::connect(broker).await.unwrap();
    broker.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
    let mut head = [0; 7];
    broker.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    // `connection.start`, and then those of a fixed length: `tune` and `open-ok`.
    let start = length + 8;
    vec![start, start + 20, start + 20 + 13]
}

#[tokio::test]
async fn a_connection_that_ends_while_it_is_opened_is_opened_again_at_once() {
    let url = rabbitmq_url();
    let authority = url.rsplit('@').next().unwrap().to_owned();
    let broker = authority.parse().unwrap();
    let ends = frame_ends(broker).await;
    let mut cuts = vec![0, 1, 7, 8, 200];
    cuts.extend(ends.iter().flat_map(|end| [end - 1, *end, end + 1]));
    for after in cuts {
        for ending in [Ending::Close, Ending::Reset, Ending::HalfClose] {
            let (address, task) = cutting(broker, after, ending).await;
            let url = url.replace(&authority, &address.to_string());
            let queue = format!("rabbitmq://queue/{}", unique("cut"));
            let app = receiver(&url, &Journal::default()).listen(queue).start();
            let app = tokio::time::timeout(SOON, app).await;
            let app = app.unwrap_or_else(|_late| panic!("it waits: {after} bytes, {ending:?}"));
            let app = app.unwrap();
            assert!(!state(&app, Direction::Listen).works(), "{after} bytes, {ending:?}");
            task.abort();
            app.stop().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_sent_waits_no_longer_than_the_connections_are_cut() {
    let url = rabbitmq_url();
    let authority = url.rsplit('@').next().unwrap().to_owned();
    let broker = authority.parse().unwrap();
    let start = frame_ends(broker).await[0];
    let (address, task) = cutting(broker, start, Ending::Close).await;
    let queue = format!("rabbitmq://queue/{}", unique("cut"));
    let journal = Journal::default();
    let receiver = receiver(&url, &journal).listen(&*queue).start().await.unwrap();
    let sender = sender(&url.replace(&authority, &address.to_string()), &queue);
    let sender = sender.start().await.unwrap();
    sender.bus().send(note("late")).await.unwrap();
    wait_for_problem(&sender, Direction::Send, Some("cannot be reached")).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let listener = TcpListener::bind(address).await.unwrap();
    let open = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = TcpStream::connect(broker).await.unwrap();
            tokio::spawn(async move {
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    tokio::time::timeout(SOON, journal.wait_for("late")).await.expect("it arrives soon");
    open.abort();
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}
