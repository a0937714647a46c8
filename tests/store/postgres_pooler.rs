//! A pooler between the store and PostgreSQL: one that keeps sessions is used like the database,
//! and one that keeps none is refused in words.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::StoreError;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, query, query_scalar};
use tempfile::TempDir;
use tests::servers::new_postgres_database;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const STUCK: Duration = Duration::from_secs(60);

/// A PgBouncer of this test alone, in front of the database that this address names.
struct Pooler {
    url: String,
    _process: Child,
    _folder: TempDir,
}

impl Pooler {
    async fn start(url: &str, mode: &str, sessions: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let (server, database) = url.rsplit_once('/').unwrap();
        let upstream = server.rsplit('@').next().unwrap();
        let (host, port) = upstream.rsplit_once(':').unwrap();
        let own = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\n{database} = host={host} port={port}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {own}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {sessions}\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        // With this kind of trust the pooler speaks for one user of the database.
        let settings = settings.replacen(" port=", " user=postgres port=", 1);
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let process = start(&file, folder.path());
        let ready = async {
            while TcpStream::connect(("127.0.0.1", own)).await.is_err() {
                // Real time: the pooler gives no signal.
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(STUCK, ready).await.expect("the pooler starts");
        let url = format!("postgres://postgres@127.0.0.1:{own}/{database}");
        Self { url, _process: process, _folder: folder }
    }
}

/// It refuses to run as root.
fn start(settings: &Path, folder: &Path) -> Child {
    let is_root = std::process::Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = if is_root {
        std::process::Command::new("chown").arg("-R").arg("postgres").arg(folder).status().unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "pgbouncer"]);
        command
    } else {
        Command::new("pgbouncer")
    };
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin")).arg(settings).kill_on_drop(true);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pgbouncer is installed")
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "pooler.note")]
struct Note {
    id: i64,
}

#[handler]
#[durable]
async fn note(cmd: Note, db: &mut PgConnection) -> sqlx::Result<()> {
    query("insert into notes values ($1)").bind(cmd.id).execute(db).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_keeps_sessions_is_used_like_the_database() {
    let url = new_postgres_database("pooler").await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    query("create table notes (id bigint)").execute(&mut db).await.unwrap();
    let pooler = Pooler::start(&url, "session", 50).await;
    let store = PostgresStore::connect(&pooler.url).await.unwrap();
    let app = Jasper::builder().store(store).handler(note).start().await.unwrap();
    app.bus().send_all((0..100).map(|id| Note { id })).await.unwrap();
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    let count = query_scalar::<_, i64>("select count(*) from notes").fetch_one(&mut db).await;
    assert_eq!(count.unwrap(), 100);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_keeps_no_sessions_is_refused_in_words() {
    for mode in ["transaction", "statement"] {
        for sessions in [1, 2, 20] {
            // Those of `statement` refuse transactions by themselves.
            let url = new_postgres_database("pooler").await;
            let pooler = Pooler::start(&url, mode, sessions).await;
            let refused = timeout(STUCK, PostgresStore::connect(&pooler.url)).await;
            let refused = refused.expect("it is refused at once").unwrap_err();
            assert!(matches!(refused, StoreError::Pooler { .. }), "{mode}, {sessions}: {refused}");
            let words = refused.to_string();
            assert!(words.contains("pool_mode = session"), "{words}");
        }
    }
}
