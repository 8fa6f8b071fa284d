//! Conversations that a client continues by the id of an answer, which ajar keeps: any destination can serve them.
//!
//! What was said before comes into the body before anything looks at it, so that all of it is classified anew and goes
//! nowhere that its class, and what the conversation rose to, do not let it.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::{Gateway, Policy};
use crate::cache::{Kept, Responses};
use crate::chat::{Json, Text};
use crate::dialect::Dialect;
use crate::dialect::error::ApiError;
use crate::dialect::responses::thread;
use crate::policy::decision::Decision;

/// A body with the conversation that it continues.
pub(super) struct Received {
    pub(super) body: Bytes,
    /// The answer that it continues, as it named it, or whose items it refers to.
    pub(super) continues: Option<Text>,
    /// What is to be kept with the answer, where the client lets it be kept.
    pub(super) turns: Option<Vec<Bytes>>,
}

/// Puts the conversation that `body` continues into it.
///
/// # Errors
/// 400 where nothing is kept under an id, 413 where the conversation has grown too large.
pub(super) fn receive(
    gateway: &Gateway,
    tenant: &Arc<str>,
    dialect: Dialect,
    body: Bytes,
) -> Result<Received, ApiError> {
    if dialect != Dialect::Responses {
        return Ok(Received { body, continues: None, turns: None });
    }
    let json = Json::parse(&body)?;
    if !thread::refers(&json) {
        return continued(gateway, tenant, &body, &json, None);
    }
    let (body, referred) = refer(gateway, tenant, &body, &json)?;
    continued(gateway, tenant, &body, &Json::parse(&body)?, referred)
}

fn continued(
    gateway: &Gateway,
    tenant: &Arc<str>,
    body: &Bytes,
    json: &Json<'_>,
    referred: Option<String>,
) -> Result<Received, ApiError> {
    let may_be_kept = thread::may_be_kept(json);
    let kept = thread::continues(json).map(|id| find(gateway, tenant, id)).transpose()?;
    let mut turns = kept.as_ref().map(|kept| kept.turns.clone()).unwrap_or_default();
    let continued = match kept {
        Some(_) => Bytes::from(thread::continued(body, json, turns.iter().map(Bytes::as_ref))),
        None => body.clone(),
    };
    if continued.len() > gateway.config.server.body {
        let message = "the conversation has become larger than a request may be";
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    turns.extend(thread::input(body, json).map(Bytes::from));
    let continues = thread::continues(json).or(referred.as_deref()).map(Text::new);
    Ok(Received { body: continued, continues, turns: may_be_kept.then_some(turns) })
}

/// Puts the items that `body` refers to into it, where ajar wrote them; also the last answer of which there are some.
fn refer(
    gateway: &Gateway,
    tenant: &Arc<str>,
    body: &[u8],
    json: &Json<'_>,
) -> Result<(Bytes, Option<String>), ApiError> {
    let mut referred = None;
    let find = |id: &str| {
        let Some(answer) = thread::answer_of(id) else { return Ok(None) };
        let kept = gateway.responses.as_ref().and_then(|responses| responses.get(tenant, &answer));
        let answered = kept.as_ref().and_then(|kept| std::str::from_utf8(&kept.answer).ok());
        let item = answered.and_then(|answer| thread::item(answer, id)).ok_or_else(not_kept)?;
        referred = Some(answer);
        Ok::<_, ApiError>(Some(item))
    };
    let body = thread::resolved(body, json, find)?;
    Ok((body.into(), referred))
}

fn not_kept() -> ApiError {
    ApiError {
        param: Some("input".to_owned()),
        ..ApiError::new(
            StatusCode::BAD_REQUEST,
            "an item that `input` refers to is not kept: its answer is unknown here, too old, or of a class that is not kept \
             (`sink/responses` in the policy); send the item itself",
        )
        .code("item_not_found")
    }
}

fn find(gateway: &Gateway, tenant: &Arc<str>, id: &str) -> Result<Arc<Kept>, ApiError> {
    gateway.responses.as_ref().and_then(|responses| responses.get(tenant, id)).ok_or_else(|| ApiError {
        param: Some(thread::CONTINUES.to_owned()),
        ..ApiError::new(
            StatusCode::BAD_REQUEST,
            "no answer with this id is kept: it is unknown here, too old, or of a class that is not kept (`sink/responses` in the policy); \
             send the whole conversation as `input`",
        )
        .code("previous_response_not_found")
    })
}

/// What will be kept of a request once its answer has ended.
pub(super) struct Keeping {
    responses: Responses,
    tenant: Arc<str>,
    turns: Vec<Bytes>,
}

impl Keeping {
    /// Where the policy lets a request of this class be kept.
    pub(super) fn of(
        gateway: &Gateway,
        policy: &Policy,
        decision: &Decision,
        tenant: &Arc<str>,
        turns: Vec<Bytes>,
    ) -> Option<Self> {
        policy.set.sink("responses").filter(|(sink, _)| decision.permitted.contains(*sink))?;
        Some(Self { responses: gateway.responses.clone()?, tenant: tenant.clone(), turns })
    }

    /// Keeps the answer where `bytes` hold its end; whether they did.
    pub(super) fn note(&mut self, bytes: &[u8]) -> bool {
        let Some(answer) = thread::ended(bytes) else { return false };
        if let Some((id, items)) = thread::said(answer) {
            let mut turns = std::mem::take(&mut self.turns);
            turns.push(items.into());
            self.responses.put(&self.tenant, id, Kept { turns, answer: Bytes::copy_from_slice(answer.as_bytes()) });
        }
        true
    }
}
