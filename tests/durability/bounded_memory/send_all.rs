//! `send_all` and `send_stream` hold two pages, not the whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use jasper::SendError;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use serde::{Deserialize, Serialize};
use tests::Journal;
use tokio::sync::mpsc;

#[derive(Command, Serialize, Deserialize)]
struct Line {
    text: String,
    value: f64,
}

impl Line {
    fn of(size: usize) -> Self {
        Self { text: "x".repeat(size), value: 0.0 }
    }

    /// One that its codec cannot write.
    fn bad() -> Self {
        Self { text: String::new(), value: f64::NAN }
    }
}

#[handler(queue = "lines")]
#[durable]
async fn take_line(_cmd: Line, journal: State<Journal>) {
    journal.note("line");
}

async fn start(journal: &Journal) -> Jasper {
    let app = Jasper::builder().store(MemoryStore::new()).state(journal.clone());
    app.handler(take_line).start().await.unwrap()
}

async fn waiting_or_kept(app: &Jasper, journal: &Journal) -> usize {
    app.until_idle().await.unwrap();
    journal.notes().len()
}

#[tokio::test]
async fn messages_are_encoded_a_page_at_a_time_and_the_caller_sees_how_far_it_is() {
    let app = start(&Journal::default()).await;
    let made = Arc::new(AtomicUsize::new(0));
    let lines = (0..2_500).map(|_| {
        made.fetch_add(1, Ordering::SeqCst);
        Line::of(1)
    });
    let mut seen = Vec::new();
    let all = app.bus().send_all(lines).on_progress(|accepted| {
        seen.push((accepted, made.load(Ordering::SeqCst)));
    });
    assert_eq!(all.await.unwrap(), 2_500);
    let accepted: Vec<_> = seen.iter().map(|(accepted, _made)| *accepted).collect();
    assert_eq!(accepted, [1_000, 2_000, 2_500]);
    for (accepted, made) in seen {
        assert!((accepted..=accepted + 1_000).contains(&made), "{made} for {accepted}");
    }
    app.stop().await.unwrap();
}

/// The caller sees the first page before there is anything of the second.
#[tokio::test]
async fn a_page_that_is_accepted_does_not_wait_for_the_next_one() {
    let app = start(&Journal::default()).await;
    let (progress, mut seen) = mpsc::unbounded_channel();
    let (more, mut receiver) = mpsc::channel(1);
    let first = stream::iter((0..1_000).map(|_| Line::of(1)));
    let lines = first.chain(stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let bus = app.bus().clone();
    let sending = tokio::spawn(async move {
        let report = move |accepted| progress.send(accepted).unwrap();
        bus.send_stream(lines).on_progress(report).await
    });
    assert_eq!(seen.recv().await, Some(1_000));
    more.send(Line::of(1)).await.unwrap();
    drop(more);
    assert_eq!(seen.recv().await, Some(1_001));
    assert_eq!(sending.await.unwrap().unwrap(), 1_001);
    app.stop().await.unwrap();
}

/// Its pages are one after the other, so that a failure leaves out none before it.
#[tokio::test]
async fn pages_are_accepted_in_order() {
    let journal = Journal::default();
    let app = start(&journal).await;
    let lines = (0..3_000).map(|n| if n == 1_500 { Line::bad() } else { Line::of(1) });
    let error = app.bus().send_all(lines).await.unwrap_err();
    assert_eq!(error.accepted, 1_000);
    assert_eq!(waiting_or_kept(&app, &journal).await, 1_000);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes_too_and_one_larger_message_passes_alone() {
    const MIB: usize = 1024 * 1024;
    let app = start(&Journal::default()).await;
    let mut seen = Vec::new();
    let lines = (0..20).map(|_| Line::of(MIB)).chain([Line::of(9 * MIB), Line::of(1)]);
    let all = app.bus().send_all(lines).on_progress(|accepted| seen.push(accepted));
    assert_eq!(all.await.unwrap(), 22);
    assert_eq!(seen, [7, 14, 20, 21, 22]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_came_before_the_page_of_a_message_that_cannot_be_encoded_is_accepted() {
    let journal = Journal::default();
    let app = start(&journal).await;
    let lines = (0..2_300).map(|n| if n == 2_299 { Line::bad() } else { Line::of(1) });
    let error = app.bus().send_all(lines).await.unwrap_err();
    assert_eq!(error.accepted, 2_000);
    assert!(matches!(error.source, SendError::Encode { .. }), "{error}");
    assert_eq!(waiting_or_kept(&app, &journal).await, 2_000);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_is_sent_as_it_comes() {
    let journal = Journal::default();
    let app = start(&journal).await;
    let (lines, mut receiver) = mpsc::channel(10);
    let bus = app.bus().clone();
    let sending = tokio::spawn(async move {
        let lines = stream::poll_fn(|cx| receiver.poll_recv(cx));
        bus.send_stream(lines).await
    });
    lines.send(Line::of(1)).await.unwrap();
    // It is handled while the stream has neither ended nor filled a page.
    journal.wait_for("line").await;
    for _ in 0..5 {
        lines.send(Line::of(1)).await.unwrap();
    }
    drop(lines);
    assert_eq!(sending.await.unwrap().unwrap(), 6);
    assert_eq!(waiting_or_kept(&app, &journal).await, 6);
    app.stop().await.unwrap();
}
