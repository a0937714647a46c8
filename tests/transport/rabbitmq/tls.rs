//! Brokers under TLS, with the settings that TCP has.

use std::net::TcpListener;
use std::path::Path;

use jasper::prelude::*;
use jasper::transport::rabbitmq::{RabbitMq, Tls};
use tempfile::TempDir;
use tests::servers::Server;
use tests::{Certified, Journal};

use crate::bench::{note, receiver_by, sender_by};

/// A certificate of an authority, and what trusts that.
fn certified(folder: &Path, name: &str) -> Tls {
    let Certified { root, chain, key } = tests::certified(name);
    for (file, text) in [("root.pem", &root), ("chain.pem", &chain), ("key.pem", &key)] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    Tls::new().roots_pem(root.as_bytes()).unwrap()
}

/// A broker under TLS with a certificate of this name, and its address.
async fn broker(folder: &TempDir) -> (Server, String) {
    // Another user's server reads the files.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), readable).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = folder.path().display();
    let more = format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\n\
         ssl_options.cacertfile = {place}/root.pem\n\
         ssl_options.certfile = {place}/chain.pem\n\
         ssl_options.keyfile = {place}/key.pem\n\
         ssl_options.versions.1 = tlsv1.3\n"
    );
    (Server::rabbitmq_with(&more).await, format!("amqps://guest:guest@localhost:{port}"))
}

#[tokio::test]
async fn messages_and_requests_travel_under_tls() {
    let (folder, journal) = (TempDir::new().unwrap(), Journal::default());
    let tls = certified(folder.path(), "localhost");
    let (_server, url) = broker(&folder).await;
    let transport = || RabbitMq::at(&*url).tls(tls.clone());
    let address = "rabbitmq://queue/notes";
    let receiver = receiver_by(transport(), &journal).listen(address).start().await.unwrap();
    let sender = sender_by(transport(), address).start().await.unwrap();
    for number in 0..100 {
        sender.bus().send(note(format!("{number}"))).await.unwrap();
    }
    journal.wait_for_number(100).await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_is_refused() {
    let folder = TempDir::new().unwrap();
    let right = certified(folder.path(), "another.host");
    let (_server, url) = broker(&folder).await;
    let wrong = certified(TempDir::new().unwrap().path(), "localhost");
    for (tls, expected) in [(right, "NotValidForName"), (wrong, "UnknownIssuer")] {
        let sender = sender_by(RabbitMq::at(&*url).tls(tls), "rabbitmq://queue/notes");
        let sender = sender.start().await.unwrap();
        sender.bus().send(note("kept")).await.unwrap();
        let problem = problem_of(&sender).await;
        assert!(problem.contains(expected) || problem.contains("certificate"), "{problem}");
        sender.stop().await.unwrap();
    }
}

async fn problem_of(app: &Jasper) -> String {
    loop {
        if let Some(problem) = app.endpoints().into_iter().find_map(|state| state.problem) {
            return problem;
        }
        // Real time: a state gives no word.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
