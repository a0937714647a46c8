//! Opening a connection, up to the point where both sides know each other.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use super::super::address::Authority;
use super::super::handshake::{ClientError, greet};
use super::super::limits::Limits;
use super::super::peer::SharedKey;
use super::super::reader::FrameReader;
use super::super::streams::Halves;
use super::super::vitals::Vitals;
use super::link::PeerLink;
use crate::transport::connect::connect;
use crate::transport::shared_connection::Dial;

/// The one connection to a place.
pub(in super::super) type PeerConnection =
    crate::transport::shared_connection::SharedConnection<Dialler>;

/// All that is needed to dial one place.
#[derive(Debug, Clone)]
pub(in super::super) struct Dialler {
    pub(in super::super) authority: Authority,
    pub(in super::super) limits: Limits,
    pub(in super::super) identity: Option<SharedKey>,
    pub(in super::super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Dial for Dialler {
    type Link = PeerLink;
    type Error = ClientError;

    fn dial(&self) -> BoxFuture<'_, Result<PeerLink, ClientError>> {
        Box::pin(async {
            let limit = self.limits.handshake;
            let late =
                || ClientError::Gone(format!("it did not shake hands within {limit:?}").into());
            timeout(limit, self.open()).await.map_err(|_late| late())?
        })
    }

    fn is_usable(link: &PeerLink) -> bool {
        link.is_usable()
    }

    fn given_up() -> ClientError {
        ClientError::Gone("dialling was given up".into())
    }
}

impl Dialler {
    async fn open(&self) -> Result<PeerLink, ClientError> {
        let Authority { host, port } = &self.authority;
        let stream = connect(host, *port).await?;
        let tls = self.tls.as_ref().map(|(config, name)| (config, name.clone()));
        let halves = Halves::connected(stream, tls).await?;
        let vitals = Arc::new(Vitals::new());
        let mut reader = FrameReader::new(halves.reading, Arc::clone(&vitals));
        let mut writer = halves.writing;
        let (identity, binding) = (self.identity.as_ref(), halves.binding.as_ref());
        let agreed = greet(&mut reader, &mut writer, identity, binding, &self.limits).await?;
        Ok(PeerLink::start(reader, writer, vitals, agreed, self.limits))
    }
}
