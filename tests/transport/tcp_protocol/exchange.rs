//! Batches and their receipts between honest sides.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use jasper::transport::tcp::{Limits, Tcp};
use jasper::transport::{Batch, Guarantee, Receipt, Transport};

use crate::receiver::{TestReceiver, envelope, listen, pair, send, sender_to, within};

#[tokio::test]
async fn one_envelope_and_many_arrive_with_either_guarantee() {
    let (receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    for guarantee in [Guarantee::Stored, Guarantee::InMemory] {
        for count in [1, 500] {
            let sent: Vec<_> = (0..count).map(|n| envelope("take", format!("{n}"))).collect();
            let before = receiver.seen().len();
            let envelopes = sent.iter().cloned().map(Arc::new).collect();
            let batch = Batch { envelopes, guarantee };
            let receipts = within(sender.send(batch)).await.unwrap();
            assert_eq!(receipts, vec![Receipt::Accepted; count]);
            let seen = &receiver.seen()[before..];
            assert_eq!(seen.len(), count);
            for (seen, sent) in seen.iter().zip(sent) {
                assert_eq!(seen.payload, Ok(sent.payload));
                assert_eq!((seen.guarantee, &seen.peer), (Some(guarantee), &None));
            }
        }
    }
}

#[tokio::test]
async fn each_envelope_has_the_receipt_that_the_receiver_gave() {
    let (_receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let sent = ["take", "later", "never", "take"].map(|name| envelope(name, "x")).to_vec();
    let expected = vec![
        Receipt::Accepted,
        Receipt::deferred("come again"),
        Receipt::refused("go away"),
        Receipt::Accepted,
    ];
    assert_eq!(send(&sender, sent).await.unwrap(), expected);
}

#[tokio::test]
async fn a_batch_without_envelopes_asks_whether_the_destination_answers() {
    let (receiver, listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    assert_eq!(send(&sender, Vec::new()).await.unwrap(), Vec::new());
    assert!(receiver.batches().is_empty(), "the receiver is not asked");
    listener.stop().await;
    assert!(send(&sender, Vec::new()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_sender_sends_one_after_the_other_arrives_in_order() {
    let (receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut sent = Vec::new();
    for first in (0..600).step_by(3) {
        let three: Vec<_> = (first..first + 3).map(|n| envelope("take", n.to_string())).collect();
        sent.extend(three.iter().map(|envelope| envelope.payload.clone()));
        send(&sender, three).await.unwrap();
    }
    assert_eq!(receiver.payloads(), sent);
}

#[tokio::test]
async fn a_slow_batch_does_not_keep_a_later_one_waiting() {
    let (receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let slow = send(&sender, vec![envelope("wait", "slow")]);
    tokio::pin!(slow);
    let later = async {
        receiver.wait_for(1).await;
        send(&sender, vec![envelope("take", "quick")]).await
    };
    tokio::select! {
        _done = &mut slow => panic!("the gate is shut"),
        receipts = later => assert_eq!(receipts.unwrap(), vec![Receipt::Accepted]),
    }
    receiver.open_gate();
    assert_eq!(slow.await.unwrap(), vec![Receipt::Accepted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_senders_to_an_address_share_one_connection_which_one_of_them_dials() {
    let server = Tcp::new().limits(Limits::default().connections(2));
    let (receiver, client) = (TestReceiver::new(), Tcp::new());
    let listener = listen(&server, &receiver).await;
    let tcp = sender_to(&client, &*listener);
    let durable = listener.address().as_str().replace("tcp://", "durable://");
    let durable = client.sender(&durable.parse().unwrap()).unwrap();
    let all = (0..100).map(|n| {
        let sender = if n % 2 == 0 { tcp.clone() } else { durable.clone() };
        async move { send(&sender, vec![envelope("take", n.to_string())]).await }
    });
    for receipts in join_all(all).await {
        assert_eq!(receipts.unwrap(), vec![Receipt::Accepted]);
    }
    let refused = send(&sender_to(&Tcp::new(), &*listener), Vec::new()).await.unwrap_err();
    assert!(refused.to_string().contains("all of its 2 connections"), "{refused}");
}

#[tokio::test]
async fn a_batch_that_is_larger_than_a_frame_is_split_and_stays_in_order() {
    let server = Tcp::new().limits(Limits::default().frame(16 << 10));
    let (receiver, _listener, sender) = pair(server, &Tcp::new()).await;
    let sent: Vec<_> = (0..100_u8).map(|n| envelope("take", vec![n; 1_000])).collect();
    let payloads: Vec<_> = sent.iter().map(|envelope| envelope.payload.clone()).collect();
    assert_eq!(send(&sender, sent).await.unwrap(), vec![Receipt::Accepted; 100]);
    assert!(receiver.batches().len() > 5, "{:?}", receiver.batches());
    assert_eq!(receiver.payloads(), payloads);
}

#[tokio::test]
async fn more_envelopes_than_a_frame_may_have_are_split() {
    let (receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let sent = vec![envelope("take", ""); 5_000];
    assert_eq!(send(&sender, sent).await.unwrap(), vec![Receipt::Accepted; 5_000]);
    assert_eq!(receiver.batches(), [4_096, 904]);
}

#[tokio::test]
async fn an_envelope_that_is_too_large_is_refused_and_the_others_are_not() {
    // Either side may be the one that takes less.
    let small = || Tcp::new().limits(Limits::default().frame(16 << 10));
    for (server, client) in [(small(), Tcp::new()), (Tcp::new(), small())] {
        let (receiver, _listener, sender) = pair(server, &client).await;
        let large = envelope("take", vec![0; 20_000]);
        let sent = vec![envelope("take", "a"), large, envelope("take", "b")];
        let receipts = send(&sender, sent).await.unwrap();
        assert_eq!((&receipts[0], &receipts[2]), (&Receipt::Accepted, &Receipt::Accepted));
        let Receipt::Refused { why } = &receipts[1] else { panic!("{receipts:?}") };
        assert!(why.contains("a message of 20") && why.contains("16366 bytes"), "{why}");
        assert_eq!(receiver.payloads(), [Bytes::from("a"), Bytes::from("b")]);
    }
}

#[tokio::test]
async fn a_large_payload_arrives_as_it_was() {
    let (receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let payload: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    send(&sender, vec![envelope("take", payload.clone())]).await.unwrap();
    assert_eq!(receiver.payloads(), [payload]);
}

#[tokio::test]
async fn a_sender_waits_while_the_window_has_no_room() {
    let server = Tcp::new().limits(Limits::default().batches(2));
    let (receiver, _listener, sender) = pair(server, &Tcp::new()).await;
    let all = (0..6).map(|n| send(&sender, vec![envelope("wait", n.to_string())]));
    let sending = join_all(all);
    tokio::pin!(sending);
    tokio::select! {
        _done = &mut sending => panic!("the gate is shut"),
        () = receiver.wait_for(2) => {}
    }
    // Two round trips of another kind: a third batch would have come before their answers.
    for _ in 0..2 {
        let asked = sender.request(crate::receiver::request("take", "x", Duration::from_secs(5)));
        tokio::select! {
            _done = &mut sending => panic!("the gate is shut"),
            answer = asked => assert!(answer.unwrap().is_ok()),
        }
    }
    assert_eq!(receiver.batches().len(), 2);
    receiver.open_gate();
    assert!(within(sending).await.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_flight_stay_within_the_window_and_memory() {
    let limits = Limits::default().frame(64 << 10).window(100_000).memory(150_000);
    let (receiver, _listener, sender) = pair(Tcp::new().limits(limits), &Tcp::new()).await;
    let other = sender_to(&Tcp::new(), &*_listener);
    let all = (0..200_u32).map(|n| {
        let sender = if n % 2 == 0 { sender.clone() } else { other.clone() };
        async move { send(&sender, vec![envelope("take", vec![n as u8; 40_000])]).await }
    });
    for receipts in join_all(all).await {
        assert_eq!(receipts.unwrap(), vec![Receipt::Accepted]);
    }
    assert_eq!(receiver.seen().len(), 200);
}

#[tokio::test]
async fn a_receiver_that_panics_says_come_again() {
    let (_receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let receipts = send(&sender, vec![envelope("panic", "")]).await.unwrap();
    assert_eq!(receipts, vec![Receipt::deferred("the receiver failed")]);
    let receipts = send(&sender, vec![envelope("take", "")]).await.unwrap();
    assert_eq!(receipts, vec![Receipt::Accepted]);
}
