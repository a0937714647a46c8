//! Requests that fail on demand.

use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode};

use super::super::administration_failure::AdministrationFailure;
use super::super::shared::Shared;
use super::body::AnswerBody;
use super::entries;

/// How a request of this method is to fail, if it is.
pub(super) fn next_failure(shared: &Shared, method: &Method) -> Option<AdministrationFailure> {
    let failures = &mut shared.state.lock().administration_failures;
    if *method == Method::GET { failures.reads.pop_front() } else { failures.writes.pop_front() }
}

/// The answer where nothing is done.
pub(super) fn refused(failure: AdministrationFailure) -> Response<AnswerBody> {
    use AdministrationFailure as Failure;
    let (status, detail, retry_after_s) = match failure {
        Failure::ConflictingOperation => (
            StatusCode::CONFLICT,
            "SubCode=40901. Another conflicting operation is in progress.",
            None,
        ),
        Failure::AlreadyExists => (
            StatusCode::CONFLICT,
            "SubCode=40900. Conflict. The messaging entity already exists.",
            None,
        ),
        Failure::TooManyRequests { retry_after_s } => (
            StatusCode::TOO_MANY_REQUESTS,
            "SubCode=50004. The request was terminated because the namespace is being throttled.",
            retry_after_s,
        ),
        Failure::Unavailable { retry_after_s } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The server is busy. Please wait and try again.",
            retry_after_s,
        ),
        Failure::InternalError | Failure::HalfAnswer => {
            (StatusCode::INTERNAL_SERVER_ERROR, "SubCode=50000. Internal Server Error.", None)
        }
    };
    let mut response = Response::new(AnswerBody::whole(entries::error(status, detail)));
    *response.status_mut() = status;
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer where the request was done.
pub(super) fn answered(
    failure: AdministrationFailure,
    answer: Response<AnswerBody>,
) -> Response<AnswerBody> {
    match failure {
        AdministrationFailure::HalfAnswer => answer.map(AnswerBody::cut),
        failure => refused(failure),
    }
}
