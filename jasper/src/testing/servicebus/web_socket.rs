//! AMQP through a WebSocket.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::connection;
use super::shared::Shared;

pub(super) const PATH: &str = "/$servicebus/websocket";
/// What clients call AMQP there: by the standard, and as Microsoft's do.
const PROTOCOLS: [&str; 2] = ["amqp", "AMQPWSB10"];
/// How many bytes are on their way within the broker.
const BUFFER: usize = 64 * 1024;

/// Answers who asks for a WebSocket, and serves it from then on; `None` where it is not asked for.
pub(super) fn upgrade<B: Default>(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
) -> Option<Response<B>> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?;
    // A client that is answered with another one than it has named does not go on.
    let protocol = HeaderValue::from_static(protocol(&request)?);
    let accepted = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
    let shared = Arc::clone(shared);
    // It ends when the broker does, which cuts all connections then.
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(stream) => serve(TokioIo::new(stream), shared).await,
            Err(error) => tracing::debug!(%error, "a client has not come by its WebSocket"),
        }
    });
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    Some(response)
}

fn protocol<B>(request: &Request<B>) -> Option<&'static str> {
    let named = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let mut named = named.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
    named.find_map(|name| PROTOCOLS.into_iter().find(|known| *known == name.trim()))
}

async fn serve<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let (near, far) = tokio::io::duplex(BUFFER);
    // When one side ends, the other sees it.
    tokio::join!(relay(socket, near), connection::serve(far, shared));
}

/// Hands bytes on, until one side ends.
async fn relay<S>(mut socket: WebSocketStream<S>, near: DuplexStream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(near);
    let mut buffer = vec![0; BUFFER];
    loop {
        let handed_on = tokio::select! {
            read = reader.read(&mut buffer) => match read {
                Ok(count) if count > 0 => {
                    let message = Message::binary(buffer[..count].to_vec());
                    socket.send(message).await.is_ok()
                }
                _ => false,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => writer.write_all(&bytes).await.is_ok(),
                Some(Ok(Message::Close(_)) | Err(_)) | None => false,
                Some(Ok(_)) => true,
            },
        };
        if !handed_on {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_answered_with_the_protocol_that_it_names() {
        let request = |named: &str| {
            Request::builder().header(SEC_WEBSOCKET_PROTOCOL, named).body(()).unwrap()
        };
        assert_eq!(protocol(&request("amqp")), Some("amqp"));
        assert_eq!(protocol(&request("mqtt, AMQPWSB10")), Some("AMQPWSB10"));
        assert_eq!(protocol(&request("mqtt")), None);
        assert_eq!(protocol(&Request::new(())), None);
    }
}
