//! Real databases: the servers that all tests share, and servers for one test alone.

use sqlx::{AssertSqlSafe, Connection};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/servers");

/// The address of the PostgreSQL server that all tests share, with the database `postgres`.
///
/// # Panics
/// The environment names none.
pub fn postgres_url() -> String {
    shared("JASPER_TEST_POSTGRES")
}

/// The address of the MariaDB server that all tests share, without a database.
///
/// # Panics
/// The environment names none.
pub fn mariadb_url() -> String {
    shared("JASPER_TEST_MARIADB")
}

/// The connection string of the SQL Server that all tests share, with a database in which they may
/// make schemas.
///
/// # Panics
/// The environment names none.
pub fn sqlserver_connection_string() -> String {
    shared("JASPER_TEST_SQLSERVER")
}

/// The URL of a new database on the PostgreSQL server that all tests share.
///
/// # Panics
/// The environment names no server, or it makes no database.
pub async fn new_postgres_database(name: &str) -> String {
    let url = postgres_url();
    let name = unique(name);
    let mut server = sqlx::PgConnection::connect(&url).await.expect("the server answers");
    let create = AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut server).await.expect("a database can be made");
    replace_database(&url, &name)
}

/// The URL of a new database on the MariaDB server that all tests share.
///
/// # Panics
/// The environment names no server, or it makes no database.
pub async fn new_mariadb_database(name: &str) -> String {
    let url = mariadb_url();
    let name = unique(name);
    let mut server = sqlx::MySqlConnection::connect(&url).await.expect("the server answers");
    let create = AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut server).await.expect("a database can be made");
    replace_database(&url, &name)
}

/// The address of the RabbitMQ broker that all tests share.
///
/// # Panics
/// The environment names none.
pub fn rabbitmq_url() -> String {
    shared("JASPER_TEST_RABBITMQ")
}

fn unique(name: &str) -> String {
    format!("{name}_{}", uuid::Uuid::now_v7().simple())
}

fn replace_database(url: &str, name: &str) -> String {
    let server = url.rsplit_once('/').map_or(url, |(server, _database)| server);
    format!("{server}/{name}")
}

/// A test that is skipped without its server would pass where nothing was tested.
fn shared(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run `tests/run`, or start servers with \
             `eval \"$(tests/servers env)\"`"
        )
    })
}

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its user is `postgres` and needs no password.
    Postgres,
    /// Its user is `root` and needs no password.
    MariaDb,
    /// Its user is `guest`, and so is the password.
    RabbitMq,
}

impl Kind {
    /// Its name in `tests/servers`.
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
            Self::RabbitMq => "rabbitmq",
        }
    }
}

/// A server for one test alone, which may crash and freeze. Stopped when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    folder: TempDir,
    port: u16,
    url: String,
}

impl Server {
    /// A new PostgreSQL server.
    ///
    /// # Panics
    /// It does not start.
    pub async fn postgres() -> Self {
        Self::start(Kind::Postgres).await
    }

    /// A new MariaDB server.
    ///
    /// # Panics
    /// It does not start.
    pub async fn mariadb() -> Self {
        Self::start(Kind::MariaDb).await
    }

    /// A new RabbitMQ broker.
    ///
    /// # Panics
    /// It does not start.
    pub async fn rabbitmq() -> Self {
        Self::start(Kind::RabbitMq).await
    }

    /// A new RabbitMQ broker, with this in its configuration.
    ///
    /// # Panics
    /// It does not start.
    pub async fn rabbitmq_with(more: &str) -> Self {
        Self::start_with(Kind::RabbitMq, Some(more)).await
    }

    /// A new server.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(kind: Kind) -> Self {
        Self::start_with(kind, None).await
    }

    async fn start_with(kind: Kind, more: Option<&str>) -> Self {
        // There, the process that started the shared servers also stops this one if the test is
        // killed.
        let all =
            std::env::var_os("JASPER_TEST_SERVERS").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::Builder::new().prefix("server-").tempdir_in(all);
        let folder = folder.expect("a folder in JASPER_TEST_SERVERS, or a temporary one");
        if let Some(more) = more {
            let file = folder.path().join("more.conf");
            std::fs::write(file, more).expect("the folder can be written to");
        }
        // Made before the server starts, so that a start that fails half-way is cleaned up too.
        let mut server = Self { kind, folder, port: 0, url: String::new() };
        server.url = server.call("start", &[]).await;
        let port = server.url.rsplit(':').next().and_then(|rest| rest.split('/').next());
        server.port = port.and_then(|port| port.parse().ok()).expect("an address with a port");
        server
    }

    /// Its address, like that of the shared server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port on 127.0.0.1. It keeps the port when it starts again.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Crashes it, which ends all connections, and starts it again.
    ///
    /// # Panics
    /// It does not start again.
    pub async fn restart_immediately(&self) {
        self.crash().await;
        self.start_again().await;
    }

    /// Ends it in an orderly way, so that no client can connect. A broker needs that in tests: for
    /// some minutes after a quorum queue is made, a crash of this version leaves it unusable.
    ///
    /// # Panics
    /// It does not end.
    pub async fn stop(&self) {
        self.call("stop", &["fast"]).await;
    }

    /// Crashes it: what was not committed is lost, and no client can connect.
    ///
    /// # Panics
    /// It does not end.
    pub async fn crash(&self) {
        self.call("stop", &["immediate"]).await;
    }

    /// Starts it after [`Server::crash`] or [`Server::stop`], at the same port and with what was
    /// committed.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_again(&self) {
        self.call("start", &[&self.port.to_string()]).await;
    }

    /// What `rabbitmqctl` does with these arguments.
    ///
    /// # Panics
    /// It fails.
    pub async fn control(&self, arguments: &[&str]) -> String {
        self.call("control", arguments).await
    }

    /// Stops all its processes, so that its connections stay open and nothing answers.
    ///
    /// # Panics
    /// It does not run.
    pub async fn freeze(&self) {
        self.call("freeze", &[]).await;
    }

    /// Continues after [`Server::freeze`].
    ///
    /// # Panics
    /// It does not run.
    pub async fn thaw(&self) {
        self.call("thaw", &[]).await;
    }

    async fn call(&self, what: &'static str, more: &[&str]) -> String {
        let mut command = command(what, self.kind, self.folder.path());
        command.args(more);
        let output = tokio::process::Command::from(command).output().await;
        read(what, output.expect("`tests/servers` can be run"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = command("stop", self.kind, self.folder.path())
            .arg("immediate")
            .output()
            .expect("`tests/servers` can be run");
        // A second panic would hide why the test failed.
        if !std::thread::panicking() {
            read("stop", stopped);
        }
    }
}

fn command(what: &str, kind: Kind, folder: &Path) -> Command {
    let mut command = Command::new(SCRIPT);
    command.args([what, kind.name()]).arg(folder);
    command
}

/// What the script printed.
fn read(what: &str, output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`tests/servers {what}` fails: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
