//! What the service answers, and whether the same question may have a better answer later.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};

use super::failed::Failed;
use crate::transport::cause::Cause;
use crate::transport::xml::Element;

/// An answer of the service.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long the service asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, text: String) -> Self {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        // A date in its place is not looked at: the service writes seconds.
        let seconds = seconds.and_then(|text| text.trim().parse().ok());
        Self { status, retry_after: seconds.map(Duration::from_secs), text }
    }

    /// Whether the same request may be done a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self.status {
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => true,
            StatusCode::CONFLICT => self.is_of_another_operation(),
            _ => false,
        }
    }

    /// The service has one status for "it is there already" and for "another operation on it is
    /// under way": only the words differ.
    fn is_of_another_operation(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        text.contains("subcode=40901") || text.contains("another conflicting operation")
    }

    /// Why it is not what was asked for.
    pub(super) fn failed(&self) -> Failed {
        let error = Element::read(&self.text).ok();
        let detail = error.as_ref().and_then(|error| error.child_text("Detail"));
        let status = self.status;
        let words = match detail {
            Some(detail) => format!("{detail} ({status})"),
            None => format!("it answers with {status}"),
        };
        if self.may_pass() { Failed::Gone(Cause::from(words)) } else { Failed::Refused(words) }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn answer(status: u16, detail: &str) -> Answer {
        let text = format!("<Error><Code>{status}</Code><Detail>{detail}</Detail></Error>");
        Answer::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), text)
    }

    #[test]
    fn a_conflict_passes_where_another_operation_is_under_way_and_else_the_entity_is_there() {
        for detail in [
            "SubCode=40901. Another conflicting operation is in progress. TrackingId:1",
            "Resource Conflict Occurred. Another conflicting operation may be in progress.",
        ] {
            let answer = answer(409, detail);
            assert!(answer.may_pass(), "{detail}");
            assert!(matches!(answer.failed(), Failed::Gone(_)));
        }
        assert!(!answer(409, "SubCode=40900. Conflict. TrackingId:40901").may_pass());
        assert!(!answer(409, "Entity 'a' already exists.").may_pass());
    }

    #[test]
    fn what_the_service_cannot_do_at_present_passes_and_what_it_refuses_does_not() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(answer(status, "").may_pass(), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 501] {
            assert!(!answer(status, "").may_pass(), "{status}");
        }
    }

    #[test]
    fn the_wait_that_the_service_asks_for_is_in_seconds() {
        let with = |value| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            Answer::new(StatusCode::TOO_MANY_REQUESTS, &headers, String::new()).retry_after
        };
        assert_eq!(with("7"), Some(Duration::from_secs(7)));
        assert_eq!(with("Fri, 27 Nov 2026 10:00:00 GMT"), None);
        assert_eq!(answer(429, "").retry_after, None);
    }
}
