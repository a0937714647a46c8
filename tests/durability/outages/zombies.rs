//! Nodes that freeze past their lease, while others take over what they own, and that go on.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use sqlx::{Connection, PgConnection, query_as, query_scalar, raw_sql};
use tests::Seed;
use tests::servers::Server;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::from_env;

const LIMIT: Duration = Duration::from_secs(60);

/// The lease of the nodes.
const LEASE: Duration = Duration::from_secs(1);

struct Node {
    name: String,
    child: Child,
    lines: JoinHandle<Said>,
}

/// What a node has said until its end.
#[derive(Default)]
struct Said {
    accepted: BTreeSet<i64>,
    fenced: BTreeMap<String, u64>,
}

impl Node {
    async fn start(url: &str, name: &str, first: i64) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outage-node"));
        command.args([url, name, &first.to_string()]).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let (ready, is_ready) = watch::channel(false);
        let lines = tokio::spawn(async move {
            let mut said = Said::default();
            while let Some(line) = output.next_line().await.unwrap() {
                match *line.split(' ').collect::<Vec<_>>() {
                    ["ready"] => drop(ready.send_replace(true)),
                    ["accepted", id] => drop(said.accepted.insert(id.parse().unwrap())),
                    ["fenced", operation, count] => {
                        said.fenced.insert(operation.to_owned(), count.parse().unwrap());
                    }
                    _ => panic!("`{line}`"),
                }
            }
            said
        });
        let mut is_ready = is_ready;
        timeout(LIMIT, is_ready.wait_for(|ready| *ready)).await.unwrap().unwrap();
        Self { name: name.to_owned(), child, lines }
    }

    async fn signal(&self, signal: &str) {
        let process = self.child.id().expect("it runs until its input ends");
        let mut command = Command::new("kill");
        let status = command.args(["-s", signal, &process.to_string()]).status().await;
        assert!(status.unwrap().success());
    }

    /// Its number, if its lease runs.
    async fn number(&self, db: &mut PgConnection) -> Option<i64> {
        let sql = "select max(node) from jasper.jasper_nodes where name = $1
            and lease_until > extract(epoch from clock_timestamp()) * 1000000";
        query_scalar(sql).bind(&self.name).fetch_one(db).await.unwrap()
    }

    /// Waits until it is alive under another number than this.
    async fn rejoins(&self, db: &mut PgConnection, old: i64) {
        let rejoins = async {
            while self.number(db).await.is_none_or(|number| number <= old) {
                // Real time: there is no signal for the commits of others.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, rejoins).await.expect("it joins again");
    }

    /// Ends its input, and with that its traffic.
    fn end_traffic(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it ends, as it does when nothing is left to do for any node.
    async fn end(mut self) -> Said {
        let status: ExitStatus = timeout(LIMIT, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success());
        self.lines.await.unwrap()
    }
}

async fn owned(db: &mut PgConnection, number: i64) -> i64 {
    let sql = "select count(*) from jasper.jasper_incoming where owner = $1";
    query_scalar(sql).bind(number).fetch_one(db).await.unwrap()
}

/// Whether another node has ended its lease: one that has only run out would be renewed.
async fn is_ended(db: &mut PgConnection, number: i64) -> bool {
    let sql = "select not exists (
        select from jasper.jasper_nodes where node = $1 and lease_until > 0
    )";
    query_scalar(sql).bind(number).fetch_one(db).await.unwrap()
}

/// Freezes a node until its lease is over and what it owned is taken from it; says how much that
/// was.
async fn freeze(node: &Node, db: &mut PgConnection) -> i64 {
    let number = node.number(db).await.expect("it is alive");
    node.signal("STOP").await;
    let work = owned(db, number).await;
    // Real time: the lease, which is counted in the database's time, has to run out.
    tokio::time::sleep(LEASE).await;
    let ended = async {
        while !is_ended(db, number).await {
            // Real time: there is no signal for the commits of others.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, ended).await.expect("another node ends its lease");
    let taken = async {
        while owned(db, number).await > 0 {
            // Real time: there is no signal for the commits of others.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // A row whose completion is written and not committed stays locked until the node goes on.
    drop(timeout(3 * LEASE, taken).await);
    node.signal("CONT").await;
    node.rejoins(db, number).await;
    work
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_freeze_past_their_lease_are_fenced_and_double_nothing() {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let server = Server::postgres().await;
    let mut db = PgConnection::connect(server.url()).await.unwrap();
    let schema = "create table effects (id bigint not null, leg text not null)";
    raw_sql(schema).execute(&mut db).await.unwrap();
    let mut nodes = [
        Node::start(server.url(), "first", 0).await,
        Node::start(server.url(), "second", 1_000_000).await,
    ];
    let (freezes, mut taken) = (from_env("JASPER_FREEZES", 5), 0);
    for _ in 0..freezes {
        // Real time: the moment at which a node freezes is what is random here.
        tokio::time::sleep(Duration::from_millis(300 + seed.number() % 500)).await;
        taken += freeze(&nodes[(seed.number() % 2) as usize], &mut db).await;
    }
    let mut said = Said::default();
    nodes.iter_mut().for_each(Node::end_traffic);
    for node in nodes {
        let of_node = node.end().await;
        said.accepted.extend(of_node.accepted);
        for (operation, count) in of_node.fenced {
            *said.fenced.entry(operation).or_default() += count;
        }
    }
    println!("{freezes} freezes, {taken} messages taken over, fenced: {:?}", said.fenced);
    let sql = "select id, leg, count(*) from effects group by id, leg";
    let effects: Vec<(i64, String, i64)> = query_as(sql).fetch_all(&mut db).await.unwrap();
    let double: Vec<_> = effects.iter().filter(|(.., times)| *times > 1).collect();
    assert!(double.is_empty(), "{double:?}");
    for leg in ["slow", "swift"] {
        let done: BTreeSet<i64> =
            effects.iter().filter(|(_, of, _)| of == leg).map(|(id, ..)| *id).collect();
        assert_eq!(said.accepted.difference(&done).count(), 0, "lost");
    }
    println!("{} messages, 0 lost, 0 double", effects.len());
    assert!(taken > 0);
    // Its sessions were ended, so that most of what it wanted to write never came to a commit.
    let refused = ["commit", "settle"].iter().filter_map(|operation| said.fenced.get(*operation));
    assert!(refused.sum::<u64>() > 0, "{:?}", said.fenced);
}
