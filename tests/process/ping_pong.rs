//! The examples that speak to other processes, as their users run them.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jasper::testing::servicebus::{Broker, EntitySettings};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, query_scalar};
use tempfile::TempDir;
use tests::servers::rabbitmq_url;
use tests::{Seed, program};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);
const KILLS: usize = 6;

/// Two programs that find each other by the environment.
struct Players {
    folder: TempDir,
    /// Where each listens.
    addresses: [String; 2],
    /// Lies between the two, as long as they play.
    broker: Option<Broker>,
}

impl Players {
    fn by_tcp() -> Self {
        // Both are free until the programs take them, as no other program asks for these.
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        Self::at(ports.map(|port| format!("durable://127.0.0.1:{port}")))
    }

    /// By way of the broker that all tests share.
    fn by_rabbitmq() -> Self {
        let number = uuid::Uuid::now_v7().simple();
        Self::at(["pinger", "ponger"].map(|name| format!("rabbitmq://queue/{name}-{number}")))
    }

    /// By way of the test broker of Azure Service Bus.
    async fn by_servicebus() -> Self {
        let broker = Broker::start().await.unwrap();
        let queues = ["pinger", "ponger"];
        for queue in queues {
            let settings = EntitySettings::new().lock_duration(Duration::from_secs(2));
            broker.create_queue(queue, settings.max_delivery_count(1_000)).unwrap();
        }
        let players = Self::at(queues.map(|name| format!("asb://queue/{name}")));
        Self { broker: Some(broker), ..players }
    }

    fn at(addresses: [String; 2]) -> Self {
        Self { folder: TempDir::new().unwrap(), addresses, broker: None }
    }

    fn start(&self, player: usize) -> Child {
        let name = ["pinger", "ponger"][player];
        let other = ["JASPER_ENDPOINT_PONGER", "JASPER_ENDPOINT_PINGER"][player];
        let mut command = Command::new(program(name));
        command.current_dir(self.folder.path()).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(Stdio::null());
        command.env("JASPER_LISTEN", &self.addresses[player]);
        command.env(other, &self.addresses[1 - player]);
        match &self.broker {
            Some(broker) => command.env("JASPER_BROKER_SERVICEBUS", broker.connection_string()),
            None => command.env("JASPER_BROKER_RABBITMQ", rabbitmq_url()),
        };
        command.spawn().unwrap()
    }

    async fn numbers(&self, table: &str) -> Vec<i64> {
        let file = self.folder.path().join("pinger.db");
        if !Path::exists(&file) {
            return Vec::new();
        }
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let Ok(mut db) = options.connect().await else {
            return Vec::new();
        };
        let select = format!("select number from {table} order by number");
        let numbers = query_scalar(sqlx::AssertSqlSafe(select)).fetch_all(&mut db).await;
        numbers.unwrap_or_default()
    }

    async fn wait_for_pongs(&self, count: usize) {
        let there = async {
            while self.numbers("pongs").await.len() < count {
                // Real time: other processes play.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LIMIT, there).await.expect("pongs come");
    }
}

#[tokio::test]
async fn every_ping_is_answered_once_whichever_process_is_killed() {
    play(Players::by_tcp()).await;
}

#[tokio::test]
async fn every_ping_is_answered_once_by_way_of_a_broker_too() {
    play(Players::by_rabbitmq()).await;
}

#[tokio::test]
async fn every_ping_is_answered_once_by_way_of_azure_service_bus_too() {
    play(Players::by_servicebus().await).await;
}

async fn play(players: Players) {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let mut children = [players.start(0), players.start(1)];
    players.wait_for_pongs(1).await;
    for kill in 0..KILLS {
        // Real time: the moment of the kill is what is random here.
        tokio::time::sleep(Duration::from_millis(seed.number() % 1_000)).await;
        let player = kill % 2;
        children[player].start_kill().unwrap();
        children[player].wait().await.unwrap();
        children[player] = players.start(player);
    }
    players.wait_for_pongs(KILLS).await;
    // Those that come after it are left out: there is always one on its way.
    let last = players.numbers("pings").await.len() as i64;
    let answered = async || -> Vec<i64> {
        let numbers = players.numbers("pongs").await.into_iter();
        numbers.filter(|number| *number <= last).collect()
    };
    let expected: Vec<i64> = (1..=last).collect();
    let mut pongs = answered().await;
    let all = async {
        while pongs.len() < expected.len() {
            // Real time: other processes play.
            tokio::time::sleep(Duration::from_millis(50)).await;
            pongs = answered().await;
        }
    };
    let is_in_time = timeout(LIMIT, all).await.is_ok();
    assert!(is_in_time, "{seed}: {pongs:?} of {last} pings");
    assert_eq!(pongs, expected, "{seed}: each once, without a gap");
}

#[tokio::test]
async fn an_external_system_that_mostly_fails_gets_everything() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(program("external_system"));
    command.current_dir(folder.path()).kill_on_drop(true).stdin(Stdio::null());
    let output = timeout(LIMIT, command.output()).await.expect("it ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("parcels that it knows, each once      10"), "{said}");
}
