//! PostgreSQL that crashes, freezes, and breaks connections, and nodes that freeze: no message is
//! lost, none takes effect twice, and the work goes on.

#[path = "outages/backlog.rs"]
mod backlog;
#[path = "outages/bank.rs"]
mod bank;
#[path = "outages/sweep.rs"]
mod sweep;
#[path = "outages/traffic.rs"]
mod traffic;
#[path = "outages/zombies.rs"]
mod zombies;

use std::fmt::Debug;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use bank::Bank;
use tests::Seed;
use tests::proxy::{Chance, Proxy};
use tests::servers::Server;
use traffic::Traffic;

/// A number of repetitions, which a variable of the environment can raise for longer runs.
fn from_env<T: FromStr<Err: Debug>>(variable: &str, usual: T) -> T {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

/// How long it takes is printed; this shows only that nothing is stuck.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_again_and_again_costs_no_transfer_and_little_time() {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let server = Server::postgres().await;
    let bank = Bank::open(server.url()).await;
    let app = Bank::application(server.url()).await.start().await.unwrap();
    let traffic = Traffic::start(app.bus());
    let mut waits = Vec::new();
    for _ in 0..from_env("JASPER_CRASHES", 6) {
        let moment = Duration::from_millis(100).mul_f64(1.0 + 4.0 * seed.fraction());
        // Real time: the moment of the crash is what is random here.
        tokio::time::sleep(moment).await;
        server.crash().await;
        server.start_again().await;
        waits.push(bank.goes_on_after(bank.server_start().await).await);
    }
    bank.check(&app, &traffic.end().await).await;
    waits.sort();
    let (middle, most) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("{} crashes; goes on after {middle:?} (p50), {most:?} (most)", waits.len());
    assert!(most < SOON, "{waits:?}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_freezes_for_longer_than_the_lease_costs_no_transfer() {
    let server = Server::postgres().await;
    let bank = Bank::open(server.url()).await;
    let app = Bank::application(server.url()).await.start().await.unwrap();
    let traffic = Traffic::start(app.bus());
    bank.goes_on_after(SystemTime::now()).await;
    server.freeze().await;
    // Real time: the lease, which is counted in the database's time, has to run out meanwhile.
    tokio::time::sleep(Duration::from_secs(from_env("JASPER_FREEZE", 14))).await;
    let thawed = SystemTime::now();
    server.thaw().await;
    let wait = bank.goes_on_after(thawed).await;
    println!("goes on after {wait:?}");
    bank.goes_on_after(SystemTime::now()).await;
    bank.check(&app, &traffic.end().await).await;
    assert!(wait < SOON);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_without_an_answer_lose_and_double_nothing() {
    let seed = Seed::from_env();
    println!("{seed}");
    let server = Server::postgres().await;
    let bank = Bank::open(server.url()).await;
    let proxy = Proxy::in_front_of(server.url()).await;
    let app = Bank::application(&proxy.url(server.url()))
        .await
        .lease(Duration::from_secs(5))
        .start()
        .await
        .unwrap();
    let traffic = Traffic::start(app.bus());
    proxy.cut_commits(Chance::Sometimes { probability: 0.3, seed });
    let wanted = from_env("JASPER_CUTS", 250);
    let cut = async {
        while proxy.cuts() < wanted {
            // Real time: the network notifies no one.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(300), cut).await.expect("commits go on");
    proxy.cut_nothing();
    let cuts = proxy.cuts();
    bank.check(&app, &traffic.end().await).await;
    println!("{cuts} commits without an answer");
    app.stop().await.unwrap();
}
