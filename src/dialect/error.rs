//! Failures, each in its client's shape.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::{BadRequest, Dialect};
use crate::chat::RequestId;
use crate::chat::json::JsonError;

/// Codes of failures that stay the same however often one asks, though their status looks as if they might pass: the
/// official client libraries of OpenAI and Anthropic ask again unless they are told.
const RETRIED_IN_VAIN: [&str; 3] = ["budget_exhausted", "upstream_misconfigured", "egress_refused"];

/// Longest key of a request that is named back, in characters.
const MAX_ECHO: usize = 64;

/// What a client is told when there is no answer.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// For a person: what is wrong, and the way out. It may name a key of the request, so it goes to the client only.
    pub message: String,
    /// The field that is wrong, such as `messages[2].content`.
    pub param: Option<String>,
    /// For a program.
    pub code: &'static str,
    /// When it makes sense to try again.
    pub retry_after: Option<Duration>,
    /// Of which request, where one was taken in.
    pub request_id: Option<Box<RequestId>>,
}

/// Without the message and the field, which may name a key of the request.
impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError").field("status", &self.status).field("code", &self.code).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Shape<'a>,
}

#[derive(Serialize)]
struct Shape<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

/// Anthropic's.
#[derive(Serialize)]
struct MessagesEnvelope<'a> {
    r#type: &'static str,
    error: MessagesShape<'a>,
    request_id: Option<String>,
}

#[derive(Serialize)]
struct MessagesShape<'a> {
    r#type: &'static str,
    message: &'a str,
    details: MessagesDetails<'a>,
}

#[derive(Serialize)]
struct MessagesDetails<'a> {
    error_code: &'a str,
}

impl ApiError {
    /// An error with the status's usual code.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            param: None,
            code: code_of(status),
            retry_after: None,
            request_id: None,
        }
    }

    /// With a code of its own.
    pub fn code(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// Says when to try again.
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Writes it in the client's dialect.
    pub fn write(&self, dialect: Dialect, out: &mut BytesMut) {
        match dialect {
            Dialect::Messages => self.write_anthropic(out),
            _ => self.write_openai(out),
        }
    }

    /// Writes `{"error":{…}}`.
    fn write_openai(&self, out: &mut BytesMut) {
        let shape = Shape {
            message: &self.message,
            r#type: type_of(self.status),
            param: self.param.as_deref(),
            code: self.code,
        };
        // Strings into memory: neither can fail.
        let _ = serde_json::to_writer(out.writer(), &Envelope { error: shape });
    }

    /// Writes `{"type":"error","error":{…}}`. The message names the field, for which this shape has no place.
    fn write_anthropic(&self, out: &mut BytesMut) {
        let details = MessagesDetails { error_code: self.code };
        let error = MessagesShape { r#type: messages_type_of(self.status), message: &self.message, details };
        let request_id = self.request_id.as_ref().map(ToString::to_string);
        let _ = serde_json::to_writer(out.writer(), &MessagesEnvelope { r#type: "error", error, request_id });
    }
}

/// The `type` that clients of Anthropic's API expect with a status.
fn messages_type_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// The `type` that clients of OpenAI's API expect with a status.
fn type_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The `code` of a status where the failure has none of its own.
fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "invalid_api_key",
        403 => "permission_denied",
        404 => "not_found",
        405 => "method_not_allowed",
        408 => "request_timeout",
        413 => "request_too_large",
        415 => "unsupported_media_type",
        422 => "unprocessable_request",
        429 => "rate_limit_exceeded",
        431 => "request_header_too_large",
        502 => "upstream_error",
        503 => "service_unavailable",
        504 => "upstream_timeout",
        500.. => "internal_error",
        _ => "invalid_request",
    }
}

impl From<BadRequest> for ApiError {
    fn from(bad: BadRequest) -> Self {
        Self { param: bad.param, ..Self::new(StatusCode::BAD_REQUEST, bad.message).code(bad.code) }
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        let bad = |code| Self::new(StatusCode::BAD_REQUEST, error.to_string()).code(code);
        match &error {
            JsonError::DuplicateKey(key) => {
                let key: String = key.expose().chars().take(MAX_ECHO).collect();
                let message = JsonError::DuplicateKey(key.as_str().into()).to_string();
                Self { message, param: Some(key), ..bad("duplicate_key") }
            }
            JsonError::Utf8(_) => bad("invalid_utf8"),
            JsonError::Syntax { .. } => bad("invalid_json"),
            JsonError::TooDeep => bad("nested_too_deep"),
            JsonError::TooMany => bad("too_many_values"),
        }
    }
}

/// In OpenAI's shape: where no dialect's route is met.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.respond(Dialect::Chat)
    }
}

impl ApiError {
    /// The HTTP response, in the client's dialect.
    pub fn respond(self, dialect: Dialect) -> Response {
        let mut body = BytesMut::new();
        self.write(dialect, &mut body);
        let mut response = Response::new(Body::from(body.freeze()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: a client that comes early is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
        }
        if RETRIED_IN_VAIN.contains(&self.code) {
            response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_openais_shape() {
        let mut shown = String::new();
        for status in [400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 502, 503, 504] {
            let mut out = BytesMut::new();
            ApiError::new(StatusCode::from_u16(status).unwrap(), "what is \"wrong\"").write(Dialect::Chat, &mut out);
            shown += &format!("{status} {}\n", std::str::from_utf8(&out).unwrap());
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn every_status_has_anthropics_shape() {
        let mut shown = String::new();
        for status in [400, 401, 402, 403, 404, 405, 408, 413, 415, 422, 429, 431, 500, 502, 503, 504] {
            let mut out = BytesMut::new();
            let error = ApiError::new(StatusCode::from_u16(status).unwrap(), "what is \"wrong\"");
            error.write(Dialect::Messages, &mut out);
            shown += &format!("{status} {}\n", std::str::from_utf8(&out).unwrap());
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn retry_after_is_in_whole_seconds_and_never_early() {
        for (wait, header) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (90_000, "90")] {
            let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow down");
            let response = error.retry_after(Duration::from_millis(wait)).into_response();
            assert_eq!(response.headers()[RETRY_AFTER], header);
        }
    }

    #[test]
    fn clients_are_told_not_to_ask_again_in_vain() {
        for (code, told) in [("budget_exhausted", Some("false")), ("rate_limit_exceeded", None)] {
            let response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "no").code(code).into_response();
            assert_eq!(response.headers().get("x-should-retry").map(|value| value.to_str().unwrap()), told, "{code}");
        }
    }

    #[test]
    fn a_body_that_is_no_strict_json_is_a_400_that_names_the_place() {
        let deep = "[".repeat(100);
        let bodies: [&[u8]; 5] = [b"{\"a\":1,\"\\u0061\":2}", b"{\"a\":\xff}", b"{\"a\" 1}", deep.as_bytes(), b""];
        let errors = bodies.map(|body| ApiError::from(crate::chat::Json::parse(body).unwrap_err()));
        insta::assert_debug_snapshot!(errors.map(|e| (e.status.as_u16(), e.code, e.param, e.message)));
        let long = ApiError::from(JsonError::DuplicateKey("é".repeat(1 << 20).into()));
        assert!(long.message.len() < 300);
    }
}
