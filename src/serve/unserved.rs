//! Paths that nothing is served on. Nothing passes through unseen.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode};

use crate::dialect::Dialect;
use crate::dialect::error::ApiError;

/// What is served.
const SERVED: &str = "`POST /v1/chat/completions`, `/v1/responses`, `/v1/messages`, `/v1/messages/count_tokens`, \
    `/v1/completions`, `/v1/embeddings` and `/v1/moderations`, and `GET /v1/models`";

/// What other APIs have that no detector here looks at, by the beginnings of its paths.
const UNSEEN: [&str; 18] = [
    "audio",
    "images",
    "videos",
    "files",
    "batches",
    "uploads",
    "fine_tuning",
    "assistants",
    "threads",
    "vector_stores",
    "realtime",
    "conversations",
    "containers",
    "evals",
    "organization",
    "skills",
    "messages/batches",
    "chatkit",
];

/// What a client speaks on a path that says nothing of it: Anthropic's libraries always name their version.
pub(super) fn spoken(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") { Dialect::Messages } else { Dialect::Chat }
}

/// 404, which no client library tries again; the body is not read.
pub(super) async fn unknown_path(request: Request<Body>) -> Response {
    let error = match unseen(request.uri().path()) {
        Some(what) => {
            let message = format!(
                "`/v1/{what}` is not served: nothing here looks at what it would send, and what is not looked at does \
                 not leave; this is a gateway for {SERVED}"
            );
            ApiError::new(StatusCode::NOT_FOUND, message).code("not_served")
        }
        None => {
            let path = request.uri().path().chars().take(100).collect::<String>();
            ApiError::new(StatusCode::NOT_FOUND, format!("unknown path `{path}`; this is a gateway for {SERVED}"))
        }
    };
    error.respond(spoken(request.headers()))
}

pub(super) async fn wrong_method(headers: HeaderMap) -> Response {
    let message = "this path takes another method: POST for what a model is to answer, GET for models";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).respond(spoken(&headers))
}

/// What of [`UNSEEN`] lies at `path`.
fn unseen(path: &str) -> Option<&'static str> {
    let below = path.strip_prefix("/v1/")?;
    let lies = |what: &&&str| below.strip_prefix(**what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    UNSEEN.iter().find(lies).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_looked_at_is_known_by_whole_words_of_its_path() {
        assert_eq!(unseen("/v1/audio/speech"), Some("audio"));
        assert_eq!(unseen("/v1/files"), Some("files"));
        assert_eq!(unseen("/v1/messages/batches/b_1/results"), Some("messages/batches"));
        assert_eq!([unseen("/v1/filesystem"), unseen("/v1/messages"), unseen("/audio"), unseen("/v1/")], [None; 4]);
    }
}
