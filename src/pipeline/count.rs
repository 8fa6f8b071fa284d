//! `POST /v1/messages/count_tokens`: an estimate, made here. Nothing leaves, and nothing is recorded.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Request};

use super::Gateway;
use super::respond::whole;
use super::understand::receive;
use super::view::estimate_tokens;
use crate::chat::Json;
use crate::dialect::Dialect;
use crate::dialect::anthropic::decode::decode_to_count;
use crate::dialect::anthropic::encode::encode_count;
use crate::dialect::error::ApiError;

/// How many tokens a prompt has, by the same estimate from above that policies go by.
pub async fn count_tokens(gateway: Arc<Gateway>, request: Request<Body>) -> Response {
    match estimate(&gateway, request).await {
        Ok(tokens) => {
            let mut response = whole(encode_count(tokens).into());
            response.headers_mut().insert("x-ajar-warning", HeaderValue::from_static("estimated"));
            response
        }
        Err(error) => error.respond(Dialect::Messages),
    }
}

async fn estimate(gateway: &Gateway, request: Request<Body>) -> Result<u64, ApiError> {
    let (head, body) = request.into_parts();
    let subject = gateway.authenticate(&gateway.generation.load_full(), &head)?;
    let body = receive(gateway, &subject, Dialect::Messages, body).await?.body;
    let json = Json::parse(&body)?;
    Ok(estimate_tokens(&decode_to_count(&body, &json)?.parts))
}
