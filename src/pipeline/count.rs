//! `POST /v1/messages/count_tokens`: counted by the embedded model that the client names, else an estimate. Nothing leaves,
//! and nothing is recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Request};

use super::preference::preference;
use super::respond::whole;
use super::understand::receive;
use super::view::estimate_tokens;
use super::{Gateway, Generation};
use crate::chat::{ChatRequest, Json};
use crate::dialect::Dialect;
use crate::dialect::anthropic::decode::decode_to_count;
use crate::dialect::anthropic::encode::encode_count;
use crate::dialect::error::ApiError;
use crate::dispatch::local::{EngineState, Turn};

/// How long a count may wait for the engine's turn: whoever counts is about to ask, and an estimate will do.
const PATIENCE: Duration = Duration::from_millis(250);

/// A count, and whether it is one.
enum Tokens {
    Counted(u64),
    Estimated(u64),
}

/// How many tokens a prompt has: by the tokenizer of the embedded model that the client names, else by the estimate from
/// above that policies go by, which is marked.
pub async fn count_tokens(gateway: Arc<Gateway>, request: Request<Body>) -> Response {
    match count(&gateway, request).await {
        Ok(Tokens::Counted(tokens)) => whole(encode_count(tokens).into()),
        Ok(Tokens::Estimated(tokens)) => {
            let mut response = whole(encode_count(tokens).into());
            response.headers_mut().insert("x-ajar-warning", HeaderValue::from_static("estimated"));
            response
        }
        Err(error) => error.respond(Dialect::Messages),
    }
}

async fn count(gateway: &Gateway, request: Request<Body>) -> Result<Tokens, ApiError> {
    let (head, body) = request.into_parts();
    let generation = gateway.generation.load_full();
    let subject = gateway.authenticate(&generation, &head)?;
    let body = receive(gateway, &subject, Dialect::Messages, &head.headers, body).await?.body;
    let json = Json::parse(&body)?;
    let decoded = decode_to_count(&body, &json)?;
    let estimate = estimate_tokens(&decoded.parts);
    let turn = Turn { tenant: subject.tenant.clone(), priority: subject.priority };
    let counted = by_engine(gateway, &generation, turn, decoded.request).await;
    Ok(counted.map_or(Tokens::Estimated(estimate), Tokens::Counted))
}

/// By the model that is named, where it is loaded in this process and has a moment.
async fn by_engine(gateway: &Gateway, generation: &Generation, turn: Turn, request: ChatRequest) -> Option<u64> {
    let named = preference(gateway, &generation.policy, &request).ok()??;
    let engine = gateway.dispatcher.engine(generation.policy.set.destination(named))?;
    if engine.facts().state != EngineState::Ready {
        return None;
    }
    let counting = engine.count(Arc::new(request), turn, Instant::now() + PATIENCE);
    tokio::time::timeout(PATIENCE, counting).await.ok()?.ok()
}
