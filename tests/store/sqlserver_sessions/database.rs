//! A schema whose sessions tests freeze, cut and silence.

use std::net::SocketAddr;
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::MessageStore;
use jasper::store::sqlserver::tiberius::{self, Config, EncryptionLevel};
use jasper::store::sqlserver::{SqlServerConnection, SqlServerStore};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tests::proxy::Proxy;
use tests::servers::sqlserver_connection_string;
use tiberius::error::Error as DriverError;

/// Short, so that what takes some leases is over soon, and long enough for a server that is slow at
/// the first statements of a session.
pub const LEASE: Duration = Duration::from_secs(6);

/// The schema of the tables, as handlers get it.
#[derive(Debug, Clone)]
pub struct Tables(pub String);

impl Tables {
    /// A statement in which `{schema}` is its name.
    pub fn statement(&self, text: &str) -> String {
        text.replace("{schema}", &format!("[{}]", self.0))
    }
}

/// Adds one to a balance that all share, and says so while it still runs.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "sessions.touch")]
pub struct Touch {
    pub id: i64,
    /// For how long it goes on.
    pub millis: u64,
}

#[handler(queue = "touch", timeout = "6s")]
#[durable]
pub async fn touch(
    cmd: Touch,
    db: &mut SqlServerConnection,
    tables: State<Tables>,
    journal: State<Journal>,
) -> Result<(), DriverError> {
    let change = tables.statement("update {schema}.accounts set balance = balance + 1");
    db.execute(&*change, &[]).await?;
    let effect = tables.statement("insert into {schema}.effects (id) values (@P1)");
    db.execute(effect, &[&cmd.id]).await?;
    journal.note(format!("touched {}", cmd.id));
    // Real time: it is a transaction that takes long.
    tokio::time::sleep(Duration::from_millis(cmd.millis)).await;
    db.execute(change, &[]).await.map(drop)
}

/// What an application is made of on these tables.
pub fn application(
    store: SqlServerStore,
    tables: &Tables,
    journal: &Journal,
) -> jasper::runtime::Builder {
    let app = Jasper::builder().store(store).lease(LEASE);
    app.state(tables.clone()).state(journal.clone()).handler(touch)
}

/// A store whose tables are there, as another process would open it.
pub async fn open(tables: &Tables, config: Config) -> SqlServerStore {
    let store = SqlServerStore::builder().schema(&tables.0).connect_with(config).await.unwrap();
    store.admin().prepare().await.unwrap();
    store
}

/// How the shared server is reached.
pub fn direct() -> Config {
    Config::from_ado_string(&sqlserver_connection_string()).unwrap()
}

/// The same by way of a proxy, and not encrypted, so that the proxy can read it.
pub fn by_way_of(proxy: &Proxy) -> Config {
    let mut config = direct();
    config.host("127.0.0.1");
    config.port(proxy.addr().port());
    config.encryption(EncryptionLevel::NotSupported);
    config
}

/// A proxy in front of the shared server.
pub async fn proxy() -> Proxy {
    let address = direct().get_addr();
    let found: Vec<SocketAddr> = tokio::net::lookup_host(&address).await.unwrap().collect();
    Proxy::start(*found.first().expect("an address")).await
}

/// Waits until it is so.
pub async fn soon(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waits = async {
        while !is_so().await {
            // Real time: the server gives no sign of it.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waits).await;
    assert!(waited.is_ok(), "not within a minute: {what}");
}
