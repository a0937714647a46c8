//! What each judge has to see, and what the broker has to have counted then.

use std::path::PathBuf;
use std::time::Duration;

use jasper::testing::servicebus::{Broker, CorrelationFilter, EntitySettings, Filter};
use tempfile::TempDir;
use tests::certified;

use crate::bench::{Judge, QUEUE, broker, until};

pub(crate) async fn batch(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    let printed = judge.run("batch", &broker, &[QUEUE]).await;
    assert_eq!(printed, "one id one blue 7\ntwo id two blue 7\nthree id three blue 7\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.sent, counts.delivered, counts.completed), (3, 3, 3));
    assert_eq!((counts.active, counts.locked, counts.dead_lettered), (0, 0, 0));
}

pub(crate) async fn abandon(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    assert_eq!(judge.run("abandon", &broker, &[QUEUE]).await, "again 0\nagain 1\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.delivered, counts.abandoned, counts.completed), (2, 1, 1));
}

pub(crate) async fn poison(judge: Judge) {
    let broker = broker(EntitySettings::new().max_delivery_count(2)).await;
    let said = "poison | MaxDeliveryCountExceeded | Message could not be consumed after 2 delivery \
                attempts.\n";
    assert_eq!(judge.run("poison", &broker, &[QUEUE]).await, said);
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.abandoned, counts.rejected, counts.completed), (2, 0, 0));
    assert_eq!(broker.counts("orders/$DeadLetterQueue").completed, 1);
}

pub(crate) async fn dead_letter(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    let printed = judge.run("dead_letter", &broker, &[QUEUE]).await;
    assert_eq!(printed, "broken | Unreadable | no colon\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.rejected, counts.completed, counts.dead_lettered), (1, 0, 0));
    assert_eq!(broker.counts("orders/$DeadLetterQueue").completed, 1);
}

pub(crate) async fn renew_lock(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    assert_eq!(judge.run("renew_lock", &broker, &[QUEUE]).await, "later\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.completed, counts.expired_locks), (1, 0));
}

pub(crate) async fn lost_lock(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    let mut step = judge.start("lost_lock", &broker.connection_string(), &[QUEUE]);
    step.ready().await;
    broker.faults().expire_locks(QUEUE);
    step.go_on().await;
    let said = match judge {
        Judge::Python => "MessageLockLostError\nlate 1\n",
        Judge::Node => "MessageLockLost\nlate 1\n",
    };
    assert_eq!(step.finish().await, said);
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.expired_locks, counts.late_settlements, counts.completed), (1, 1, 1));
}

pub(crate) async fn schedule(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    assert_eq!(judge.run("schedule", &broker, &[QUEUE]).await, "3 numbers\nkept in time\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.sent, counts.completed, counts.scheduled), (3, 1, 0));
}

pub(crate) async fn defer(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    assert_eq!(judge.run("defer", &broker, &[QUEUE]).await, "later\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.completed, counts.deferred, counts.active), (2, 0, 0));
}

pub(crate) async fn peek(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    assert_eq!(judge.run("peek", &broker, &[QUEUE]).await, "one 1\ntwo 2\n0 more\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.active, counts.locked, counts.delivered), (2, 0, 0));
}

pub(crate) async fn receive_and_delete(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    assert_eq!(judge.run("receive_and_delete", &broker, &[QUEUE]).await, "gone\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.active, counts.locked, counts.delivered), (0, 0, 1));
}

pub(crate) async fn duplicates(judge: Judge) {
    let broker = broker(EntitySettings::new().duplicate_detection(Duration::from_secs(600))).await;
    assert_eq!(judge.run("duplicates", &broker, &[QUEUE]).await, "first\nother\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.sent, counts.duplicates, counts.completed), (2, 2, 2));
    assert_eq!(counts.active, 0);
}

pub(crate) async fn sessions(judge: Judge) {
    let broker = broker(EntitySettings::new().requires_session()).await;
    let printed = judge.run("sessions", &broker, &[QUEUE]).await;
    let expected = "holds red green\ngreen 1\ngreen 2\ngreen 3\nred 1\nred 2\nred 3\n\
                    state None\nstate half way\nlater\n";
    assert_eq!(printed, expected);
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.completed, counts.expired_locks, counts.active), (6, 0, 0));
}

pub(crate) async fn held_session(judge: Judge) {
    let broker = broker(EntitySettings::new().requires_session()).await;
    let refusal = match judge {
        Judge::Python => "SessionCannotBeLockedError",
        Judge::Node => "SessionCannotBeLocked",
    };
    let printed = judge.run("held_session", &broker, &[QUEUE]).await;
    assert_eq!(printed, format!("{refusal}\nkept 0\n"));
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.delivered, counts.completed, counts.expired_locks), (2, 1, 0));
}

pub(crate) async fn topic(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    broker.create_topic("news", EntitySettings::new()).unwrap();
    for subscription in ["all", "blue"] {
        broker.create_subscription("news", subscription, EntitySettings::new()).unwrap();
    }
    broker.remove_rule("news", "blue", "$Default").unwrap();
    let filter = Filter::Correlation(CorrelationFilter::new().property("colour", "blue"));
    broker.add_rule("news", "blue", "blue", filter).unwrap();
    let printed = judge.run("topic", &broker, &["news", "all", "blue"]).await;
    assert_eq!(printed, "all for all\nall blue\nblue blue\n");
    assert_eq!(broker.counts("news").sent, 2);
    assert_eq!(broker.counts("news/Subscriptions/all").completed, 2);
    let blue = broker.counts("news/Subscriptions/blue");
    assert_eq!((blue.sent, blue.completed, blue.active), (1, 1, 0));
}

/// A broker under TLS, and a file with the root by which it is judged.
async fn under_tls() -> (Broker, TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let certified = certified("localhost");
    let root = folder.path().join("root.pem");
    std::fs::write(&root, &certified.root).unwrap();
    let (chain, key) = (certified.chain.as_bytes(), certified.key.as_bytes());
    let broker = Broker::builder().certificate_pem(chain, key).start().await.unwrap();
    (broker, folder, root)
}

pub(crate) async fn web_socket(judge: Judge) {
    let (broker, _folder, root) = under_tls().await;
    broker.create_queue(QUEUE, EntitySettings::new()).unwrap();
    let printed = judge.web_socket(&broker, &root).await;
    assert_eq!(printed, "one id one blue 7\ntwo id two blue 7\nthree id three blue 7\n");
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.sent, counts.delivered, counts.completed), (3, 3, 3));
    assert_eq!((counts.active, counts.locked, counts.dead_lettered), (0, 0, 0));
}

pub(crate) async fn administer(judge: Judge) {
    let (broker, _folder, root) = under_tls().await;
    let expected = "orders 30 5 120\nTrue True\nexists already\norders 30 7 120\nTrue True\n\
                    4 queues orders queue-0 queue-1 queue-2\n0 messages\nnot found\n\
                    news\nmine other\n3\n$Default TrueFilter -\nblue CorrelationFilter paint\n\
                    blue\nwood\nblue\nother\n0 topics\n";
    assert_eq!(judge.administer(&broker, &root).await, expected);
}

pub(crate) async fn throttled(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    broker.faults().throttle(QUEUE, 1);
    let said = match judge {
        Judge::Python => "ServiceBusServerBusyError\n",
        Judge::Node => "ServiceBusy\n",
    };
    assert_eq!(judge.run("refused", &broker, &[QUEUE]).await, said);
    assert_eq!(broker.counts(QUEUE).sent, 0);
    assert_eq!(judge.run("refused", &broker, &[QUEUE]).await, "sent\n");
    assert_eq!(until(&broker, QUEUE, |counts| counts.active == 1).await.sent, 1);
}

pub(crate) async fn wrong_key(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    let (_, key) = broker.key();
    let wrong = broker.connection_string().replace(key, "bm90IHRoZSBrZXk=");
    let said = match judge {
        Judge::Python => "ServiceBusAuthenticationError\n",
        Judge::Node => "UnauthorizedAccess\n",
    };
    assert_eq!(judge.start("refused", &wrong, &[QUEUE]).finish().await, said);
    assert_eq!(broker.counts(QUEUE).sent, 0);
}

pub(crate) async fn too_large(judge: Judge) {
    let broker = broker(EntitySettings::new()).await;
    let said = match judge {
        Judge::Python => "MessageSizeExceededError\n",
        Judge::Node => "MessageSizeExceeded\n",
    };
    assert_eq!(judge.run("too_large", &broker, &[QUEUE]).await, said);
    assert_eq!(broker.counts(QUEUE).sent, 0);
}
