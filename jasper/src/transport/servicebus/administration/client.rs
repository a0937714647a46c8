//! A client for the management of a namespace.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::failure::Fault;
use super::super::settings::Reached;
use super::super::token::{TokenKind, token};
use super::answer::Answer;
use super::failed::Failed;
use super::link::{Link, Unanswered};
use super::repeats::Repeats;
use crate::transport::xml::Element;

const VERSION: &str = "2021-05";
const ENTRY: &str = "application/atom+xml;type=entry;charset=utf-8";
/// What is left as it is in a path: letters, digits and these.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'$');

/// What became of an entity that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Put {
    Made,
    /// Another process has made it before, or does at present.
    WasThere,
}

/// Asks for one thing after the other. What the service cannot do at present is asked for again,
/// in bounds that hold for all of it together.
#[derive(Debug)]
pub(in super::super) struct Administrator {
    reached: Reached,
    patience: Duration,
    /// Opened when it is first needed, and again when it has ended.
    link: Option<Link>,
    repeats: Repeats,
}

impl Administrator {
    /// `patience` is how long a connection and one answer may each take.
    pub(in super::super) fn new(reached: Reached, patience: Duration) -> Self {
        Self { reached, patience, link: None, repeats: Repeats::new() }
    }

    /// What is at this path; `None` where there is nothing.
    ///
    /// # Errors
    /// The service cannot be reached, or says no.
    pub(in super::super) async fn get(&mut self, path: &str) -> Result<Option<Element>, Failed> {
        let answer = self.ask(&Method::GET, path, "").await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if answer.status != StatusCode::OK {
            return Err(answer.failed());
        }
        let found = Element::read(&answer.text).map_err(|why| {
            Failed::Refused(format!("it answers with what cannot be read: {why}"))
        })?;
        Ok(Some(found))
    }

    /// Makes what is not there.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(in super::super) async fn put(
        &mut self,
        path: &str,
        entry: &Element,
    ) -> Result<Put, Failed> {
        let answer = self.ask(&Method::PUT, path, &entry.document()).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => Ok(Put::Made),
            StatusCode::CONFLICT => Ok(Put::WasThere),
            _ => Err(answer.failed()),
        }
    }

    /// Waits before something is looked at again; `false` where it was waited for long enough.
    pub(in super::super) async fn wait(&mut self) -> bool {
        let Some(pause) = self.repeats.pause(None) else {
            return false;
        };
        tokio::time::sleep(pause).await;
        true
    }

    /// Both requests may be repeated where it is unknown whether they were done: what is made a
    /// second time was there.
    async fn ask(&mut self, method: &Method, path: &str, body: &str) -> Result<Answer, Failed> {
        loop {
            let (failed, pause) = match self.ask_once(method, path, body).await {
                Ok(answer) if answer.may_pass() => {
                    (answer.failed(), self.repeats.pause(answer.retry_after))
                }
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Ended(cause)) => {
                    (Failed::Gone(cause), self.repeats.pause_after_end())
                }
                Err(Unanswered::Failed(failed)) => return Err(failed),
            };
            let Some(pause) = pause else {
                return Err(failed);
            };
            tracing::debug!(%method, path, ?failed, ?pause, "the management is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask_once(
        &mut self,
        method: &Method,
        path: &str,
        body: &str,
    ) -> Result<Answer, Unanswered> {
        let request = self.request(method, path, body).await?;
        let mut link = match self.link.take().filter(Link::is_usable) {
            Some(link) => link,
            None => Link::connect(&self.reached, self.patience).await?,
        };
        let answer = link.ask(request, self.patience).await?;
        self.link = Some(link);
        Ok(answer)
    }

    async fn request(
        &self,
        method: &Method,
        path: &str,
        body: &str,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let namespace = &self.reached.namespace;
        let token = token(&self.reached, &namespace.resource(path)).await;
        let (token, kind) = token.map_err(|fault| match fault {
            Fault::Refused(refusal) => Failed::Refused(refusal.to_string()),
            other => Failed::Gone(other.into()),
        })?;
        let authorization = match kind {
            TokenKind::Signature => token.expose().to_owned(),
            TokenKind::Entra => format!("Bearer {}", token.expose()),
        };
        let path = utf8_percent_encode(path, ENCODED);
        Request::builder()
            .method(method)
            .uri(format!("/{path}?api-version={VERSION}"))
            .header(HOST, namespace.management_host())
            .header(USER_AGENT, concat!("jasper/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, ENTRY)
            .header(AUTHORIZATION, authorization)
            .body(Full::from(body.to_owned()))
            // What it says may have the token in it.
            .map_err(|_error| Failed::Refused("a token that no header can have".to_owned()))
    }
}
