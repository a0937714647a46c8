//! A connection to a host by its name, which may have several addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::sleep;

/// How long an address is waited for until the next one is tried beside it; RFC 8305 recommends it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address of the host that answers. One that fails is followed by the next
/// at once, and one that is silent is followed by it after a moment, so that a dead address costs
/// no more than that.
///
/// # Errors
/// The name has no address, or none of them answers: the error of the last one that failed.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = lookup_host((host, port)).await?;
    first_to_answer(in_turns(addresses)).await
}

/// The addresses in their order, but those of IPv6 and IPv4 in turns: often one of the two families
/// leads nowhere.
fn in_turns(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for address in addresses {
        let first = one.first().unwrap_or(&address);
        let family = if first.is_ipv4() == address.is_ipv4() { &mut one } else { &mut other };
        family.push(address);
    }
    let mut other = other.into_iter();
    let mut turns: Vec<_> =
        one.into_iter().flat_map(|a| [Some(a), other.next()]).flatten().collect();
    turns.extend(other);
    turns
}

async fn first_to_answer(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut untried = addresses.into_iter();
    let mut dialled = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if let Some(address) = untried.next() {
            dialled.push(TcpStream::connect(address));
        }
        tokio::select! {
            answer = dialled.next() => match answer {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = Some(error),
                None => return Err(failure.unwrap_or_else(no_address)),
            },
            () = sleep(HEAD_START), if untried.len() > 0 => {}
        }
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// An address that answers nothing: its queue of connections is full. It lasts as long as what
    /// is given with it.
    async fn silent() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(stream) = timeout(HEAD_START, TcpStream::connect(address)).await {
            filling.push(stream.unwrap());
        }
        (address, filling, listener)
    }

    /// An address where nothing listens.
    async fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn an_address_that_is_silent_or_refuses_is_followed_by_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answering = listener.local_addr().unwrap();
        let (silent, _filling, _full) = silent().await;
        for dead in [vec![silent], vec![refusing().await], vec![silent, refusing().await, silent]] {
            let addresses = dead.into_iter().chain([answering]).collect();
            let stream = timeout(LIMIT, first_to_answer(addresses)).await.unwrap().unwrap();
            assert_eq!(stream.peer_addr().unwrap(), answering);
        }
    }

    #[tokio::test]
    async fn where_all_fail_the_last_failure_is_given() {
        let addresses = vec![refusing().await, refusing().await];
        let error = timeout(LIMIT, first_to_answer(addresses)).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = first_to_answer(Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "the name has no address");
    }

    #[test]
    fn families_take_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"].map(address);
        let turns = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(in_turns(given.into_iter()), turns);
        assert_eq!(in_turns([].into_iter()), []);
    }
}
