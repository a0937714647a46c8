//! The management of queues, topics, subscriptions and rules over HTTP, as Microsoft's clients for
//! administration ask for it.

mod body;
mod description;
mod entries;
mod failing;
mod operations;
mod rule_description;
mod target;

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use self::body::AnswerBody;
use self::operations::{Administration, Answer};
use self::target::Target;
use super::access::Access;
use super::address::EntityName;
use super::refusal::{self, Refusal};
use super::shared::Shared;
use super::web_socket;
use crate::transport::xml::Element;

/// In bytes.
const MOST: usize = 256 * 1024;
const ATOM: &str = "application/atom+xml;type=entry;charset=utf-8";

/// Serves a client until it goes.
pub(super) async fn serve<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(request, &shared).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new();
    if let Err(error) =
        serving.serve_connection(TokioIo::new(stream), service).with_upgrades().await
    {
        tracing::debug!(%error, "the connection of an administrator has ended");
    }
}

async fn respond(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<AnswerBody> {
    let is_web_socket = request.uri().path().trim_end_matches('/') == web_socket::PATH;
    if is_web_socket {
        let refused = || {
            let mut response = Response::new(AnswerBody::default());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        };
        return web_socket::upgrade(request, shared).unwrap_or_else(refused);
    }
    let mut response = match failing::next_failure(shared, request.method()) {
        Some(failure) if failure.is_done() => {
            failing::answered(failure, written(answer(request, shared).await))
        }
        Some(failure) => failing::refused(failure),
        None => written(answer(request, shared).await),
    };
    let kind = hyper::header::HeaderValue::from_static(ATOM);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn written(answered: Result<(StatusCode, String), Refused>) -> Response<AnswerBody> {
    let (status, body) = match answered {
        Ok((status, body)) => (status, body),
        Err(Refused(status, refusal)) => (status, entries::error(status, refusal.description)),
    };
    let mut response = Response::new(AnswerBody::whole(body));
    *response.status_mut() = status;
    response
}

/// Why a request is not done.
struct Refused(StatusCode, Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.condition.as_str() {
            refusal::NOT_FOUND => StatusCode::NOT_FOUND,
            refusal::ALREADY_EXISTS => StatusCode::CONFLICT,
            refusal::UNAUTHORIZED => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, refusal)
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<(StatusCode, String), Refused> {
    authorize(&request, shared)?;
    let target = Target::read(request.uri())?;
    let (head, body) = request.into_parts();
    let unreadable = |why: String| Refusal::new(refusal::ARGUMENT_ERROR, why);
    let body = Limited::new(body, MOST).collect().await;
    let body = body.map_err(|error| unreadable(error.to_string()))?.to_bytes();
    let is_update = head.headers.get(IF_MATCH).is_some_and(|value| value == "*");
    let answer = {
        let mut state = shared.state.lock();
        let mut administration =
            Administration { namespace: &mut state.namespace, host: host(&head.headers) };
        match head.method {
            Method::GET => administration.get(&target)?,
            Method::PUT => {
                let text = String::from_utf8_lossy(&body);
                let entry = Element::read(&text).map_err(unreadable)?;
                administration.put(&target, &entry, is_update)?
            }
            Method::DELETE => administration.delete(&target)?,
            other => return Err(unreadable(format!("'{other}' is not supported.")).into()),
        }
    };
    let status = match &answer {
        Answer::Created(_) => StatusCode::CREATED,
        Answer::Found(_) | Answer::Done => StatusCode::OK,
    };
    if let (Answer::Done, Target::Entity(_) | Target::Subscription { .. }) = (&answer, &target) {
        shared.detach_deleted(&target.path().unwrap_or_default());
    }
    shared.wake_receivers();
    Ok(match answer {
        Answer::Created(entry) | Answer::Found(entry) => (status, entry.document()),
        Answer::Done => (status, String::new()),
    })
}

/// The token has to be for the path of the request, or for one above it.
fn authorize(request: &Request<Incoming>, shared: &Shared) -> Result<(), Refusal> {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let opened = shown.and_then(|token| shared.key.opens(token, shared.clock.now() / 1_000));
    let mut access = Access::default();
    if let Some((resource, until_s)) = opened {
        // The client for JavaScript signs the whole address, with its query.
        access.open(resource.split('?').next().unwrap_or_default(), until_s);
    }
    if access.allows(&EntityName::parse(request.uri().path())) {
        return Ok(());
    }
    let description = "InvalidSignature: The token has an invalid signature, or is not for this.";
    Err(Refusal::new(refusal::UNAUTHORIZED, description))
}

fn host(headers: &hyper::HeaderMap) -> String {
    let host = headers.get(hyper::header::HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or("localhost").to_owned()
}
