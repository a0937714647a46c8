//! Requests and their answers.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use jasper::transport::tcp::{Limits, Tcp};
use jasper::transport::{FailureKind, TransportError};

use crate::receiver::{pair, request, within};

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_answer_and_a_failure_come_back() {
    let (_receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let payload = vec![b'p'; 100_000];
    let asked = sender.request(request("take", payload.clone(), TIMEOUT));
    let reply = within(asked).await.unwrap().unwrap();
    assert_eq!((&*reply.content_type, reply.payload), ("text/plain", Bytes::from(payload)));
    let failure = sender.request(request("fail", "", TIMEOUT)).await.unwrap().unwrap_err();
    assert_eq!((failure.kind, &*failure.message), (FailureKind::Failed, "out of stock"));
    let failure = sender.request(request("panic", "", TIMEOUT)).await.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert!(!failure.message.contains("as the message says"), "a panic's words stay there");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_the_window_has_room_for_are_all_answered() {
    let server = Tcp::new().limits(Limits::default().requests(4));
    let (_receiver, _listener, sender) = pair(server, &Tcp::new()).await;
    let all = (0..300).map(|n| sender.request(request("take", n.to_string(), TIMEOUT)));
    for (n, answer) in within(join_all(all)).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap().unwrap().payload, n.to_string());
    }
}

#[tokio::test]
async fn a_request_that_is_not_answered_in_time_may_have_arrived() {
    let (receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let limit = Duration::from_millis(50);
    let error = within(sender.request(request("wait", "", limit))).await.unwrap_err();
    assert!(matches!(error, TransportError::Deadline { limit: l, .. } if l == limit), "{error}");
    assert!(error.may_have_arrived());
    receiver.open_gate();
    // The late answer has no caller any more, and the connection goes on.
    assert!(sender.request(request("take", "", TIMEOUT)).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    let server = Tcp::new().limits(Limits::default().frame(16 << 10));
    let (receiver, _listener, sender) = pair(server, &Tcp::new()).await;
    let error = sender.request(request("take", vec![0; 20_000], TIMEOUT)).await.unwrap_err();
    assert!(matches!(error, TransportError::TooLarge { limit: 16_371, .. }), "{error}");
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_a_failure_in_words() {
    let (_receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let failure = sender.request(request("large", "", TIMEOUT)).await.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Codec);
    assert!(failure.message.contains("5242880 bytes"), "{failure}");
}
