//! What is known of messages when a connection ends, and how connections end.

use std::sync::Arc;
use std::time::Duration;

use jasper::transport::tcp::{Limits, Tcp};
use jasper::transport::{Receipt, Sender, Transport, TransportError};
use tokio::net::TcpListener;

use crate::raw::{self, BATCH, BYE, PING, PONG, RECEIPTS, Raw};
use crate::receiver::{TestReceiver, envelope, listen_at, pair, send, sender_to, within};

/// A place where a test plays the listener by hand, and a sender to it.
async fn by_hand(client: &Tcp) -> (TcpListener, Arc<dyn Sender>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let sender = client.sender(&address.parse().unwrap()).unwrap();
    (listener, sender)
}

fn accepted(batch: &[u8]) -> Vec<u8> {
    let mut body = batch[..8].to_vec();
    body.extend([0, 0, 0, 1, 0]);
    raw::frame(RECEIPTS, &body)
}

#[tokio::test]
async fn where_nothing_listens_nothing_has_arrived() {
    let (listener, sender) = by_hand(&Tcp::new()).await;
    drop(listener);
    let error = send(&sender, vec![envelope("take", "")]).await.unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
    assert!(!error.may_have_arrived());
}

#[tokio::test]
async fn a_sender_dials_anew_after_a_loss() {
    let (client, receiver) = (Tcp::new(), TestReceiver::new());
    let mut listener = listen_at(&Tcp::new(), &receiver, "tcp://127.0.0.1:0").await;
    let (sender, address) = (sender_to(&client, &*listener), listener.address());
    for round in 1..=3 {
        let receipts = send(&sender, vec![envelope("take", "")]).await.unwrap();
        assert_eq!(receipts, vec![Receipt::Accepted]);
        assert_eq!(receiver.seen().len(), round);
        within(listener.stop()).await;
        let error = send(&sender, vec![envelope("take", "")]).await.unwrap_err();
        assert!(!error.may_have_arrived(), "{error}");
        listener = listen_at(&Tcp::new(), &receiver, address.as_str()).await;
    }
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_lost() {
    let (listener, sender) = by_hand(&Tcp::new()).await;
    let losing = async {
        let mut raw = Raw::accepted(&listener, 8).await;
        assert_eq!(raw.read().await.unwrap().0, BATCH);
    };
    let (error, ()) = tokio::join!(send(&sender, vec![envelope("take", "")]), losing);
    let error = error.unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error}");
    assert!(error.may_have_arrived());
}

#[tokio::test]
async fn what_waited_for_the_window_is_sent_over_the_next_connection() {
    let (listener, sender) = by_hand(&Tcp::new()).await;
    let playing = async {
        let mut raw = Raw::accepted(&listener, 1).await;
        assert_eq!(raw.read().await.unwrap().0, BATCH);
        drop(raw);
        let mut raw = Raw::accepted(&listener, 1).await;
        let (kind, body) = raw.read().await.unwrap();
        assert_eq!(kind, BATCH);
        raw.send(&accepted(&body)).await;
        raw
    };
    let (one, other, _raw) = tokio::join!(
        send(&sender, vec![envelope("take", "one")]),
        send(&sender, vec![envelope("take", "other")]),
        playing,
    );
    // Either may have been the first.
    let (lost, sent) = if one.is_err() { (one, other) } else { (other, one) };
    assert!(lost.unwrap_err().may_have_arrived());
    assert_eq!(sent.unwrap(), vec![Receipt::Accepted]);
}

#[tokio::test]
async fn what_waited_for_the_window_and_cannot_be_sent_has_not_arrived() {
    let (listener, sender) = by_hand(&Tcp::new()).await;
    let playing = async move {
        let mut raw = Raw::accepted(&listener, 1).await;
        assert_eq!(raw.read().await.unwrap().0, BATCH);
    };
    let (one, other, ()) = tokio::join!(
        send(&sender, vec![envelope("take", "one")]),
        send(&sender, vec![envelope("take", "other")]),
        playing,
    );
    let mut errors = [one.unwrap_err(), other.unwrap_err()];
    errors.sort_by_key(TransportError::may_have_arrived);
    assert!(matches!(errors[0], TransportError::Unreachable { .. }), "{errors:?}");
    assert!(matches!(errors[1], TransportError::Lost { .. }), "{errors:?}");
}

#[tokio::test]
async fn what_found_no_room_in_time_has_not_arrived() {
    let client = Tcp::new().limits(Limits::default().receipt(Duration::from_millis(200)));
    let (listener, sender) = by_hand(&client).await;
    let playing = async {
        let mut raw = Raw::accepted(&listener, 1).await;
        assert_eq!(raw.read().await.unwrap().0, BATCH);
        raw
    };
    let (one, other, _raw) = tokio::join!(
        send(&sender, vec![envelope("take", "one")]),
        send(&sender, vec![envelope("take", "other")]),
        playing,
    );
    let mut errors = [one.unwrap_err(), other.unwrap_err()];
    errors.sort_by_key(TransportError::may_have_arrived);
    assert!(errors[0].to_string().contains("no room in its window"), "{errors:?}");
    assert!(matches!(errors[1], TransportError::Deadline { .. }), "{errors:?}");
}

#[tokio::test]
async fn the_rest_of_a_split_batch_is_unknown_when_its_connection_is_lost() {
    let (listener, sender) = by_hand(&Tcp::new()).await;
    let playing = async move {
        let mut raw = Raw::accepted(&listener, 4).await;
        let (_kind, body) = raw.read().await.unwrap();
        let count = u32::from_be_bytes(body[9..13].try_into().unwrap());
        let mut receipts = body[..8].to_vec();
        receipts.extend(count.to_be_bytes());
        receipts.resize(receipts.len() + count as usize, 0);
        raw.send(&raw::frame(RECEIPTS, &receipts)).await;
        assert_eq!(raw.read().await.unwrap().0, BATCH);
        count as usize
    };
    let sent = vec![envelope("take", vec![0; 300_000]); 5];
    let (receipts, taken) = tokio::join!(send(&sender, sent), playing);
    let receipts = receipts.unwrap();
    assert_eq!(taken, 3);
    assert_eq!(receipts[..3], vec![Receipt::Accepted; 3]);
    for receipt in &receipts[3..] {
        let Receipt::Unknown { why } = receipt else { panic!("{receipt:?}") };
        assert!(why.contains("was lost"), "{why}");
    }
}

#[tokio::test]
async fn a_send_that_is_dropped_leaves_nothing_behind() {
    let (listener, sender) = by_hand(&Tcp::new()).await;
    let mut raw = {
        let sending = send(&sender, vec![envelope("take", "dropped")]);
        tokio::pin!(sending);
        let reading = async {
            let mut raw = Raw::accepted(&listener, 1).await;
            let (_kind, body) = raw.read().await.unwrap();
            (raw, body)
        };
        let (mut raw, body) = tokio::select! {
            _done = &mut sending => panic!("nobody has answered"),
            read = reading => read,
        };
        raw.send(&accepted(&body)).await;
        raw
    };
    // There was room for one batch. That there is room again shows that the receipt was taken.
    let answering = async {
        let (_kind, body) = raw.read().await.unwrap();
        raw.send(&accepted(&body)).await;
    };
    let (receipts, ()) = tokio::join!(send(&sender, vec![envelope("take", "next")]), answering);
    assert_eq!(receipts.unwrap(), vec![Receipt::Accepted]);
}

#[tokio::test]
async fn a_listener_that_stops_answers_what_it_has_and_leaves_the_port_free() {
    let (receiver, listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let address = listener.address();
    let slow = send(&sender, vec![envelope("wait", "slow")]);
    let stopping = async {
        receiver.wait_for(1).await;
        let stop = listener.stop();
        tokio::pin!(stop);
        assert!(futures_util::poll!(&mut stop).is_pending(), "it waits for the answer");
        receiver.open_gate();
        within(stop).await;
        within(listener.stop()).await;
    };
    let (receipts, ()) = tokio::join!(slow, stopping);
    assert_eq!(receipts.unwrap(), vec![Receipt::Accepted]);
    let again = listen_at(&Tcp::new(), &receiver, address.as_str()).await;
    let receipts = send(&sender, vec![envelope("take", "again")]).await.unwrap();
    assert_eq!(receipts, vec![Receipt::Accepted]);
    within(again.stop()).await;
}

#[tokio::test]
async fn what_comes_after_the_farewell_is_deferred() {
    let (receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    let playing = async {
        assert_eq!(raw.read().await.unwrap().0, BYE);
        raw.send(&raw::batch(1, &[raw::bytes_of(&envelope("take", "late"))])).await;
        let (kind, body) = raw.read().await.unwrap();
        assert_eq!((kind, &body[8..13]), (RECEIPTS, &[0, 0, 0, 1, 1][..]), "deferred");
        assert!(String::from_utf8_lossy(&body).contains("is stopping"));
        drop(raw);
    };
    tokio::join!(within(listener.stop()), playing);
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn a_listener_that_stops_does_not_wait_for_who_says_nothing() {
    let (_receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let _silent = Raw::connect(&*listener).await;
    let _idle = Raw::connected(&*listener).await;
    within(listener.stop()).await;
}

#[tokio::test]
async fn a_listener_that_is_dropped_ends_its_connections() {
    let (_receiver, listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    send(&sender, Vec::new()).await.unwrap();
    drop(listener);
    assert_eq!(raw.read_news().await, None);
}

#[tokio::test]
async fn a_transport_that_is_dropped_ends_its_connections() {
    let client = Tcp::new();
    let (listener, sender) = by_hand(&client).await;
    let playing = async {
        let mut raw = Raw::accepted(&listener, 1).await;
        let (_kind, body) = raw.read().await.unwrap();
        raw.send(&accepted(&body)).await;
        raw
    };
    let (receipts, mut raw) = tokio::join!(send(&sender, vec![envelope("take", "")]), playing);
    receipts.unwrap();
    drop((client, sender));
    assert_eq!(raw.read_news().await, None);
}

#[tokio::test]
async fn a_connection_that_does_not_answer_in_time_is_asked_and_given_up() {
    let limits = Limits::default().receipt(Duration::from_millis(100));
    let client = Tcp::new().limits(limits.handshake(Duration::from_millis(300)));
    let (listener, sender) = by_hand(&client).await;
    let playing = async {
        let mut raw = Raw::accepted(&listener, 1).await;
        assert_eq!(raw.read().await.unwrap().0, BATCH);
        assert_eq!(raw.read().await.unwrap().0, PING);
        raw
    };
    let (error, mut raw) = tokio::join!(send(&sender, vec![envelope("take", "")]), playing);
    let error = error.unwrap_err();
    assert!(matches!(error, TransportError::Deadline { .. }), "{error}");
    assert!(error.may_have_arrived());
    assert_eq!(raw.read_news().await, None, "it is given up");
}

#[tokio::test]
async fn a_connection_that_is_only_slow_is_kept() {
    let limits = Limits::default().receipt(Duration::from_millis(100));
    let client = Tcp::new().limits(limits.handshake(Duration::from_secs(1)));
    let (listener, sender) = by_hand(&client).await;
    let playing = async {
        let mut raw = Raw::accepted(&listener, 2).await;
        let (_kind, late) = raw.read().await.unwrap();
        assert_eq!(raw.read().await.unwrap().0, PING);
        raw.send(&raw::frame(PONG, &[])).await;
        (raw, late)
    };
    let (error, (mut raw, late)) = tokio::join!(send(&sender, vec![envelope("take", "")]), playing);
    assert!(matches!(error.unwrap_err(), TransportError::Deadline { .. }));
    raw.send(&accepted(&late)).await;
    let answering = async {
        let (_kind, body) = raw.read_news().await.unwrap();
        raw.send(&accepted(&body)).await;
    };
    let (receipts, ()) = tokio::join!(send(&sender, vec![envelope("take", "")]), answering);
    assert_eq!(receipts.unwrap(), vec![Receipt::Accepted]);
}

#[tokio::test]
async fn a_side_that_dialled_pings_in_silence_and_gives_up_a_dead_other() {
    let (dead, ping) = (Duration::from_millis(600), Duration::from_millis(100));
    let client = Tcp::new().limits(Limits::default().idle(dead, ping));
    let (listener, sender) = by_hand(&client).await;
    let playing = async {
        let mut raw = Raw::accepted(&listener, 1).await;
        let (_kind, body) = raw.read().await.unwrap();
        raw.send(&accepted(&body)).await;
        for _ in 0..10 {
            assert_eq!(raw.read().await.unwrap().0, PING);
            raw.send(&raw::frame(PONG, &[])).await;
        }
        // From here on it is dead.
        assert_eq!(raw.read_news().await, None);
    };
    let (receipts, ()) = tokio::join!(send(&sender, vec![envelope("take", "")]), playing);
    receipts.unwrap();
}

#[tokio::test]
async fn a_listener_gives_up_who_is_silent_and_keeps_who_pings() {
    let (dead, ping) = (Duration::from_millis(400), Duration::from_millis(100));
    let limits = Limits::default().idle(dead, ping);
    let (receiver, listener, sender) =
        pair(Tcp::new().limits(limits), &Tcp::new().limits(limits)).await;
    let receipts = send(&sender, vec![envelope("take", "")]).await.unwrap();
    assert_eq!(receipts, vec![Receipt::Accepted]);
    let mut silent = Raw::connected(&*listener).await;
    let words = silent.last_words().await;
    assert!(words.contains("nothing was received"), "{words}");
    // The honest connection is older, and has pinged meanwhile.
    let receipts = send(&sender, vec![envelope("take", "")]).await.unwrap();
    assert_eq!(receipts, vec![Receipt::Accepted]);
    assert_eq!(receiver.seen().len(), 2);
}

/// The error of the system from which this one comes.
fn system_error(error: &TransportError) -> &std::io::Error {
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref().unwrap()
}

#[tokio::test]
async fn the_error_of_the_system_is_the_source() {
    let (listener, sender) = by_hand(&Tcp::new()).await;
    let taken = format!("tcp://{}", listener.local_addr().unwrap());
    let (receiver, tcp) = (TestReceiver::new(), Tcp::new());
    let error = tcp.listen(taken.parse().unwrap(), receiver).await.unwrap_err();
    assert_eq!(system_error(&error).kind(), std::io::ErrorKind::AddrInUse);
    drop(listener);
    let error = send(&sender, vec![envelope("take", "")]).await.unwrap_err();
    assert_eq!(system_error(&error).kind(), std::io::ErrorKind::ConnectionRefused);
}
