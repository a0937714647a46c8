//! Panics of a transport that the application brings, and what it says that it can do.

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jasper::InvokeError;
use jasper::envelope::Address;
use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::memory::MemoryStore;
use jasper::transport::{
    Answer, Batch, Capabilities, ConventionalPlace, Deployment, Direction, EndpointUri, Listener,
    Mode, Receipt, Receiver, Request, Scheme, Sender, Transport, TransportError, TransportInfo,
};
use serde::{Deserialize, Serialize};
use tests::Journal;

use super::{Bomb, Tripped, trip};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "panics.parcel", to = "shaky")]
struct Parcel {
    number: usize,
}

/// A transport whose first calls panic, each in a way of its own; what comes later it keeps.
#[derive(Debug, Clone, Default)]
struct Shaky {
    calls: Arc<AtomicUsize>,
    journal: Journal,
}

impl Transport for Shaky {
    fn info(&self) -> TransportInfo {
        const SCHEMES: &[Scheme] = &[Scheme { name: "shaky", mode: Mode::Durable }];
        TransportInfo::new("shaky", SCHEMES, Capabilities::NONE.with_requests())
    }

    fn check(&self, _uri: &EndpointUri, _direction: Direction) -> Result<(), TransportError> {
        Ok(())
    }

    fn sender(&self, _uri: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError> {
        Ok(Arc::new(self.clone()))
    }

    fn listen(
        &self,
        uri: EndpointUri,
        _receiver: Arc<dyn Receiver>,
    ) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        let is_stopped = uri.options.contains_key("stop");
        async move {
            assert!(is_stopped, "as told");
            let listener: Box<dyn Listener> = Box::new(Deaf(uri.address));
            Ok(listener)
        }
        .boxed()
    }
}

impl Sender for Shaky {
    fn send(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Receipt>, TransportError>> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("before there is a future"),
            1 => async { panic_any(Bomb("within it")) }.boxed(),
            2 => {
                let guard = Bomb("at its end");
                async move {
                    let _guard = guard;
                    Ok(Vec::new())
                }
                .boxed()
            }
            _ => async move {
                for envelope in &batch.envelopes {
                    self.journal.note(String::from_utf8_lossy(&envelope.payload));
                }
                Ok(vec![Receipt::Accepted; batch.envelopes.len()])
            }
            .boxed(),
        }
    }

    fn request(&self, _request: Request) -> BoxFuture<'_, Result<Answer, TransportError>> {
        panic!("as told")
    }
}

/// A listener that panics when it is stopped.
#[derive(Debug)]
struct Deaf(Address);

impl Listener for Deaf {
    fn address(&self) -> Address {
        self.0.clone()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        panic!("as told")
    }
}

#[tokio::test]
async fn a_transport_that_panics_is_tried_again_and_loses_nothing() {
    let shaky = Shaky::default();
    let app = Jasper::builder()
        .store(MemoryStore::new())
        .transport(shaky.clone())
        .state(Journal::default())
        .endpoint("shaky", "shaky://there")
        .start()
        .await
        .unwrap();
    let asked = app.bus().invoke(Parcel { number: 0 }).await.unwrap_err();
    assert!(asked.to_string().contains("panicked: as told"), "{asked}");
    for number in 1..=3 {
        app.bus().send(Parcel { number }).await.unwrap();
    }
    shaky.journal.wait_for(r#"{"number":3}"#).await;
    app.until_idle().await.unwrap();
    let mut notes = shaky.journal.sorted();
    notes.dedup();
    assert_eq!(notes, [r#"{"number":1}"#, r#"{"number":2}"#, r#"{"number":3}"#]);
    let counts = app.store().unwrap().admin().counts().await.unwrap();
    assert_eq!((counts.outgoing, counts.dead_letters), (0, 0));
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_transport_that_panics_where_it_listens_is_an_error_of_the_start() {
    let app = || Jasper::builder().store(MemoryStore::new()).state(Journal::default());
    let app = || app().transport(Shaky::default());
    let app = || app().endpoint("shaky", "shaky://there");
    let refused = app().listen("shaky://here").start().await.unwrap_err();
    assert!(refused.to_string().contains("panicked: as told"), "{refused}");
    let app = app().listen("shaky://here?stop=yes").start().await.unwrap();
    app.stop().await.unwrap();
}

/// Panics where it is told to, in what a start calls before anything is opened.
#[derive(Debug, Clone, Copy)]
struct Startled(&'static str);

impl Startled {
    fn at(self, place: &str) {
        assert_ne!(self.0, place, "as told");
    }
}

impl Transport for Startled {
    fn info(&self) -> TransportInfo {
        self.at("info");
        const SCHEMES: &[Scheme] = &[Scheme { name: "startled", mode: Mode::Buffered }];
        TransportInfo::new("startled", SCHEMES, Capabilities::NONE)
    }

    fn configure(&self, _: &Deployment) -> Result<(), TransportError> {
        self.at("configure");
        Ok(())
    }

    fn check(&self, _: &EndpointUri, direction: Direction) -> Result<(), TransportError> {
        self.at(match direction {
            Direction::Send => "check of an endpoint",
            Direction::Listen => "check of a listener",
        });
        Ok(())
    }

    fn convention(&self, _: &ConventionalPlace<'_>) -> Option<String> {
        self.at("convention");
        Some("startled://there".to_owned())
    }

    fn sender(&self, _: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError> {
        self.at("sender");
        Ok(Arc::new(Shaky::default()))
    }

    fn listen(
        &self,
        _: EndpointUri,
        _: Arc<dyn Receiver>,
    ) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        panic!("as told")
    }
}

fn startled(at: &'static str) -> Builder {
    Jasper::builder()
        .service("panics")
        .handler(trip)
        .state(Journal::default())
        .transport(Startled(at))
        .conventional_routing("startled")
        .never_sends::<Tripped>()
}

#[tokio::test]
async fn a_transport_that_panics_before_anything_is_opened_is_a_problem_among_others() {
    for (at, said) in [
        ("info", "a transport panicked in `info`: "),
        ("configure", "`startled` cannot be used: its transport panicked: "),
        ("convention", "conventional routing: the transport `startled` panicked: "),
        ("check of an endpoint", "`startled://there` cannot be used: its transport panicked: "),
        ("check of a listener", "`startled://here` cannot be used: its transport panicked: "),
    ] {
        let app = || startled(at).listen("startled://here").endpoint("wrong", "none://there");
        for refused in [app().check().unwrap_err().to_string(), start_of(app()).await] {
            assert!(refused.contains(said), "{at}: {refused}");
            assert!(refused.contains("as told"), "{at}: {refused}");
            assert!(refused.contains("`wrong` is at `none://there`"), "{at}: {refused}");
        }
    }
}

async fn start_of(app: Builder) -> String {
    app.start().await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_transport_that_panics_nowhere_at_the_start_starts() {
    startled("nowhere").start().await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_command_is_not_invoked_over_a_transport_that_carries_no_answers() {
    let app = startled("nowhere").start().await.unwrap();
    let refused = app.bus().invoke(Parcel { number: 0 }).await.unwrap_err();
    let InvokeError::Transport(error) = &refused else { panic!("{refused}") };
    assert!(matches!(error, TransportError::Rejected { .. }), "{error:?}");
    assert!(!error.may_have_arrived(), "{error}");
    let said = refused.to_string();
    assert!(said.contains("the transport `startled` carries no answers: `send`"), "{said}");
    assert!(!said.contains("panicked"), "its sender is not asked: {said}");
    app.stop().await.unwrap();
}
