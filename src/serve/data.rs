//! The data listener: what applications call. Unknown paths are 404; nothing passes through unseen.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};

use super::unserved::{spoken, unknown_path, wrong_method};
use crate::dialect::error::ApiError;
use crate::dialect::openai::encode::ModelEntry;
use crate::dialect::responses::items::{Page, input_items};
use crate::dialect::{Dialect, anthropic, openai};
use crate::pipeline::{self, Gateway, Generation, no_such_model};
use crate::policy::Destination;

/// The routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/responses", post(responses))
        .route("/v1/responses/{id}", get(kept).delete(forget))
        .route("/v1/completions", post(completions))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/moderations", post(moderations))
        .route("/v1/responses/{id}/input_items", get(given))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models", get(models))
        .route("/v1/models/{id}", get(model))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(gateway)
}

async fn chat(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    Box::pin(pipeline::answer(gateway, Dialect::Chat, request)).await
}

async fn responses(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    Box::pin(pipeline::answer(gateway, Dialect::Responses, request)).await
}

/// An answer that is kept for those who continue it.
async fn kept(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, head: Request<Body>) -> Response {
    let found = authenticated(&gateway, head).map(|tenant| gateway.responses.as_ref()?.get(&tenant, &id));
    match found {
        Ok(Some(kept)) => ([(CONTENT_TYPE, "application/json")], kept.answer.clone()).into_response(),
        Ok(None) => not_kept().into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// What an answer that is kept was given.
async fn given(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, head: Request<Body>) -> Response {
    let page = Page::of(head.uri().query().unwrap_or_default());
    let kept = authenticated(&gateway, head).map(|tenant| gateway.responses.as_ref()?.get(&tenant, &id));
    let kept = match kept {
        Ok(Some(kept)) => kept,
        Ok(None) => return not_kept().into_response(),
        Err(refusal) => return refusal.into_response(),
    };
    let before = kept.turns.split_last().map_or_else(Default::default, |(_, before)| before);
    match page.and_then(|page| input_items(before.iter().map(AsRef::as_ref), &page)) {
        Some(list) => ([(CONTENT_TYPE, "application/json")], list).into_response(),
        None => {
            let message = "`limit` is 1 to 100, `order` is `asc` or `desc`, and `after` the id of an item in the list";
            ApiError::new(StatusCode::BAD_REQUEST, message).into_response()
        }
    }
}

/// Forgets an answer that is kept.
async fn forget(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, head: Request<Body>) -> Response {
    let forgotten = |tenant| gateway.responses.as_ref().is_some_and(|responses| responses.remove(&tenant, &id));
    match authenticated(&gateway, head).map(forgotten) {
        Ok(true) => {
            let body = serde_json::json!({"id": id, "object": "response", "deleted": true}).to_string();
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
        Ok(false) => not_kept().into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// The tenant of a request without a body.
fn authenticated(gateway: &Gateway, request: Request<Body>) -> Result<Arc<str>, ApiError> {
    let (head, _) = request.into_parts();
    gateway.authenticate(&gateway.generation.load(), &head).map(|subject| subject.tenant.clone())
}

fn not_kept() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no answer with this id is kept").code("response_not_found")
}

async fn messages(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    Box::pin(pipeline::answer(gateway, Dialect::Messages, request)).await
}

async fn completions(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    Box::pin(pipeline::answer(gateway, Dialect::Completions, request)).await
}

async fn embeddings(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    Box::pin(pipeline::answer(gateway, Dialect::Embeddings, request)).await
}

async fn moderations(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    Box::pin(pipeline::answer(gateway, Dialect::Moderations, request)).await
}

async fn count_tokens(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    pipeline::count_tokens(gateway, request).await
}

/// `auto`, and the destinations that a client may prefer.
async fn models(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    let dialect = spoken(&head.headers);
    let generation = gateway.generation.load();
    if let Err(refusal) = gateway.authenticate(&generation, &head) {
        return refusal.respond(dialect);
    }
    let names = nameable(&gateway, &generation);
    let body = match dialect {
        Dialect::Messages => anthropic::encode::encode_models(names, &gateway.started.to_string()),
        _ => openai::encode::encode_models(names.map(|id| entry(&gateway, id))),
    };
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// One of those.
async fn model(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    let dialect = spoken(&head.headers);
    let generation = gateway.generation.load();
    if let Err(refusal) = gateway.authenticate(&generation, &head) {
        return refusal.respond(dialect);
    }
    if !nameable(&gateway, &generation).any(|name| name == id) {
        return no_such_model().respond(dialect);
    }
    let body = match dialect {
        Dialect::Messages => anthropic::encode::encode_model(&id, &gateway.started.to_string()),
        _ => openai::encode::encode_model(entry(&gateway, &id)),
    };
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn nameable<'a>(gateway: &'a Gateway, generation: &'a Generation) -> impl Iterator<Item = &'a str> {
    let available = |d: &&Destination| d.is_model() && gateway.dispatcher.unavailable(d).is_none();
    let names = generation.policy.set.destinations.iter().filter(available).map(|d| d.name.as_str());
    std::iter::once("auto").chain(names)
}

fn entry<'a>(gateway: &Gateway, id: &'a str) -> ModelEntry<'a> {
    ModelEntry { id, created: gateway.started.as_second(), owned_by: "ajar" }
}
