//! A service of another company, which fails more often than not.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the warehouse has.
#[derive(Default)]
struct Ledger {
    calls: usize,
    /// By the key of the call that reported it.
    parcels: HashMap<String, u32>,
}

/// A warehouse with an address on this machine.
pub(crate) struct Warehouse {
    addr: SocketAddr,
    ledger: Arc<watch::Sender<Ledger>>,
}

impl Warehouse {
    pub(crate) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (addr, ledger) =
            (listener.local_addr()?, Arc::new(watch::Sender::new(Ledger::default())));
        let routes =
            Router::new().route("/parcels/{parcel}", post(report)).with_state(Arc::clone(&ledger));
        // It serves as long as the program runs.
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { addr, ledger })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits until it has `parcels` parcels. Gives the number of calls and of parcels by then.
    pub(crate) async fn wait_for(&self, parcels: usize) -> (usize, usize) {
        let mut heard = self.ledger.subscribe();
        // The sender lives as long as this.
        let _ = heard.wait_for(|ledger| ledger.parcels.len() >= parcels).await;
        let ledger = heard.borrow();
        (ledger.calls, ledger.parcels.len())
    }
}

async fn report(
    State(ledger): State<Arc<watch::Sender<Ledger>>>,
    Path(parcel): Path<u32>,
    headers: HeaderMap,
) -> StatusCode {
    let Some(key) = headers.get("Idempotency-Key").and_then(|key| key.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut is_up = false;
    ledger.send_modify(|ledger| {
        ledger.calls += 1;
        is_up = ledger.calls % 5 == 0;
        if is_up {
            ledger.parcels.insert(key.to_owned(), parcel);
        }
    });
    if is_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
