//! What one peer, or one address, may take of what all have together.

use jasper::transport::Transport;
use jasper::transport::tcp::{Limits, Peer, SharedKey, Tcp};

use crate::raw::{READY, Raw, batch, bytes_of, place_of};
use crate::receiver::{TestReceiver, envelope, listen, pair, send, sender_to, within};

const ONE: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

#[tokio::test]
async fn an_address_has_its_share_of_the_connections_and_leaves_the_rest_to_others() {
    let limits = Limits::default().connections(10).peer_connections(2);
    let (_receiver, listener, _sender) = pair(Tcp::new().limits(limits), &Tcp::new()).await;
    let mut taken = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect_from(ONE, &place_of(&*listener)).await;
        assert_eq!(raw.shake_hands().await, READY);
        taken.push(raw);
    }
    let mut refused = Raw::connect_from(ONE, &place_of(&*listener)).await;
    assert_ne!(refused.shake_hands().await, READY);
    let mut other = Raw::connect_from(OTHER, &place_of(&*listener)).await;
    assert_eq!(other.shake_hands().await, READY);
    drop(taken.pop());
    // The place is free as soon as the end of the connection is noticed.
    let place = place_of(&*listener);
    let freed =
        async { while Raw::connect_from(ONE, &place).await.shake_hands().await != READY {} };
    within(freed).await;
}

#[tokio::test]
async fn a_peer_has_its_share_of_the_connections_wherever_it_comes_from() {
    let key = |id: &str| SharedKey::new(id, [7; 32]).unwrap();
    let limits = Limits::default().connections(10).peer_connections(1);
    let server = Tcp::new().limits(limits);
    let server = server.peer(Peer::named("shop").key(key("shop")));
    let server = server.peer(Peer::named("billing").key(key("billing")));
    let listener = listen(&server, &TestReceiver::new()).await;
    let sender = |id: &str| sender_to(&Tcp::new().identity(key(id)), &*listener);
    let (first, second, other) = (sender("shop"), sender("shop"), sender("billing"));
    send(&first, vec![envelope("take", "")]).await.unwrap();
    let refused = send(&second, vec![envelope("take", "")]).await.unwrap_err();
    assert!(refused.to_string().contains("all of the 1 connections that one peer"), "{refused}");
    send(&other, vec![envelope("take", "")]).await.unwrap();
}

#[tokio::test]
async fn silent_strangers_of_one_address_keep_no_other_from_shaking_hands() {
    let limits = Limits::default().handshakes(8).address_handshakes(4);
    let (_receiver, listener, sender) = pair(Tcp::new().limits(limits), &Tcp::new()).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(Raw::connect_from(ONE, &place_of(&*listener)).await);
    }
    for raw in &mut silent[4..] {
        assert_eq!(raw.read().await, None, "more than the share of its address");
    }
    send(&sender, vec![envelope("take", "")]).await.unwrap();
}

#[tokio::test]
async fn the_place_of_a_connection_is_free_when_its_socket_is_closed() {
    let limits = Limits::default().connections(1);
    let (receiver, listener, sender) = pair(Tcp::new().limits(limits), &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    // It waits for as long as the receiver likes.
    raw.send(&batch(1, &[bytes_of(&envelope("wait", "x"))])).await;
    receiver.wait_for(1).await;
    drop(raw);
    within(async { while send(&sender, Vec::new()).await.is_err() {} }).await;
    receiver.open_gate();
    within(listener.stop()).await;
}

#[tokio::test]
async fn messages_from_memory_leave_room_for_those_from_a_store() {
    let limits = Limits::default().batches(1);
    let receiver = TestReceiver::new();
    let listener = listen(&Tcp::new().limits(limits), &receiver).await;
    let client = Tcp::new();
    let address = listener.address().as_str().to_owned();
    let [memory, stored] = ["tcp://", "durable://"]
        .map(|scheme| client.sender(&address.replace("tcp://", scheme).parse().unwrap()).unwrap());
    let waiting = tokio::spawn(async move {
        send(&memory, vec![envelope("wait", "x")]).await.unwrap();
    });
    receiver.wait_for(1).await;
    send(&stored, vec![envelope("take", "y")]).await.unwrap();
    receiver.open_gate();
    within(waiting).await.unwrap();
}
