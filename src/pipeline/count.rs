//! `POST /v1/messages/count_tokens`: counted by the embedded model that the client names, else an estimate, of no fewer than
//! an embedded model reads where the policy chooses. Nothing leaves, and nothing is recorded.

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
use crate::chat::{ChatRequest, Json, Task};
use crate::dialect::Dialect;
use crate::dialect::anthropic::decode::decode_to_count;
use crate::dialect::anthropic::encode::encode_count;
use crate::dialect::error::ApiError;
use crate::dispatch::local::{EngineState, Turn};
use crate::policy::DestinationId;

/// How long a count may wait for the engine's turn: whoever counts is about to ask, and an estimate will do.
const PATIENCE: Duration = Duration::from_millis(250);

/// A count, and whether it is one.
enum Tokens {
    Counted(u64),
    Estimated(u64),
}

/// How many tokens a prompt has: by the tokenizer and the template of the embedded model that the client names, else by
/// the estimate that policies go by, which is marked. Where the client names none, the first embedded model that is loaded
/// may turn out to answer, so it is no less than that one counts.
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
    let named = preference(gateway, &generation.policy, &decoded.request).ok().flatten();
    let counted = by_engine(gateway, &generation, named, turn, decoded.request).await;
    Ok(match (named, counted) {
        (Some(_), Some(tokens)) => Tokens::Counted(tokens),
        (_, counted) => Tokens::Estimated(estimate.max(counted.unwrap_or_default())),
    })
}

/// By the model that is named, else by the first, where it is loaded in this process and has a moment.
async fn by_engine(
    gateway: &Gateway,
    generation: &Generation,
    named: Option<DestinationId>,
    turn: Turn,
    request: ChatRequest,
) -> Option<u64> {
    let set = &generation.policy.set;
    let asked = named.map_or(&set.destinations[..], |id| std::slice::from_ref(set.destination(id)));
    let chats = asked.iter().filter(|destination| destination.answers(Task::Chat));
    let mut engines = chats.filter_map(|destination| gateway.dispatcher.engine(destination));
    let engine = engines.find(|engine| engine.facts().state == EngineState::Ready)?;
    let counting = engine.count(Arc::new(request), turn, Instant::now() + PATIENCE);
    tokio::time::timeout(PATIENCE, counting).await.ok()?.ok()
}
