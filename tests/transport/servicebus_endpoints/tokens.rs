//! Tokens that expire while they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use jasper::testing::servicebus::Broker;
use jasper::transport::servicebus::{AccessToken, CredentialError, ServiceBus, TokenCredential};
use tests::Journal;
use tokio::sync::watch;

use crate::bench::{ADDRESS, QUEUE, broker, note, problem_of, receiver_by, sender, settings};

const LIFETIME: Duration = Duration::from_secs(4);

/// Gives tokens of the key of the broker, as Entra ID would give its own, until it is to stop.
#[derive(Debug, Clone)]
struct Tokens {
    broker: Arc<Broker>,
    has_stopped: Arc<AtomicBool>,
    given: Arc<watch::Sender<usize>>,
}

impl Tokens {
    fn of(broker: &Arc<Broker>) -> Self {
        let (has_stopped, given) = (Arc::default(), Arc::new(watch::Sender::new(0)));
        Self { broker: Arc::clone(broker), has_stopped, given }
    }

    fn transport(&self) -> ServiceBus {
        let place = format!("Endpoint=sb://{};UseDevelopmentEmulator=true", self.broker.address());
        ServiceBus::at(place).credential(self.clone())
    }
}

impl TokenCredential for Tokens {
    fn token(&self) -> BoxFuture<'_, Result<AccessToken, CredentialError>> {
        Box::pin(async {
            if self.has_stopped.load(Ordering::Relaxed) {
                return Err("there are no more".into());
            }
            self.given.send_modify(|given| *given += 1);
            let expires_at = SystemTime::now() + LIFETIME;
            Ok(AccessToken::new(self.broker.signature("", LIFETIME), expires_at))
        })
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_nothing_is_interrupted() {
    let (broker, journal) = (Arc::new(broker(settings()).await), Journal::default());
    let tokens = Tokens::of(&broker);
    let app = receiver_by(tokens.transport(), &journal).listen(ADDRESS).start().await.unwrap();
    let before = *tokens.given.borrow();
    // The third token after the start is given when the first one has expired.
    let mut given = tokens.given.subscribe();
    given.wait_for(|given| *given >= before + 3).await.unwrap();
    assert!(app.endpoints().iter().all(|endpoint| endpoint.problem.is_none()));
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("in time")).await.unwrap();
    journal.wait_for("in time").await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
    assert_eq!(broker.counts(QUEUE).delivered, 1);
}

#[tokio::test]
async fn a_token_that_is_not_renewed_ends_the_listener_in_words_until_there_is_another() {
    let (broker, journal) = (Arc::new(broker(settings()).await), Journal::default());
    let tokens = Tokens::of(&broker);
    let app = receiver_by(tokens.transport(), &journal).listen(ADDRESS).start().await.unwrap();
    tokens.has_stopped.store(true, Ordering::Relaxed);
    let problem = problem_of(&app).await;
    assert!(problem.contains("ExpiredToken") || problem.contains("no more"), "{problem}");
    tokens.has_stopped.store(false, Ordering::Relaxed);
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("again")).await.unwrap();
    journal.wait_for("again").await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}
