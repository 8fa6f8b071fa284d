//! `x-ajar-dry-run: 1`: the explanation in place of the answer. Nothing is executed, and no budget is touched.

use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::entry::Entry;
use super::respond::{failed, labelled, whole};
use super::understand::{consider, decode, note, recall, receive, said};
use super::view::View;
use super::{Gateway, Generation};
use crate::chat::Json;
use crate::dialect::error::ApiError;
use crate::govern::{Explain, Subject};
use crate::policy::rollout::Side;
use crate::record::Outcome;

const HEADER: &str = "x-ajar-dry-run";

/// Whether the client asks for a dry run.
///
/// # Errors
/// 400 for a value that is not `1`, 403 for a key that may not know so much.
pub(super) fn is_asked(headers: &HeaderMap, subject: &Subject) -> Result<bool, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => return Ok(false),
        (Some(value), None) if value == "1" => {}
        (Some(_), _) => {
            let message = "`x-ajar-dry-run` is `1` or absent; nothing was executed";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, message).code("invalid_header"));
        }
    }
    if subject.explain != Explain::Full {
        let message = "a dry run tells everything about the decision, and this key has no `explain: full`";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message).code("dry_run_not_allowed"));
    }
    Ok(true)
}

/// Answers with the explanation; the record says that it was a dry run.
pub(super) async fn answer(
    gateway: &Gateway,
    generation: &Generation,
    subject: &Subject,
    head: &Parts,
    body: Body,
    mut entry: Entry,
) -> Response {
    match explain(gateway, generation, subject, head, body, &mut entry).await {
        Ok(explanation) => {
            entry.row.outcome = Outcome::DryRun;
            entry.row.status = StatusCode::OK.as_u16();
            labelled(whole(explanation.into()), &entry.labels(), None)
        }
        Err(error) => failed(entry, error),
    }
}

async fn explain(
    gateway: &Gateway,
    generation: &Generation,
    subject: &Subject,
    head: &Parts,
    body: Body,
    entry: &mut Entry,
) -> Result<String, ApiError> {
    let received = receive(gateway, subject, entry.dialect, &head.headers, body).await?;
    let read = Instant::now();
    let json = Json::parse(&received.body)?;
    let said = said(entry.dialect, &head.headers);
    let decoded = decode(entry.dialect, &said, &received, &json)?;
    entry.asks(&decoded.request, read.elapsed());
    let headers = &head.headers;
    let recalled = recall(gateway, generation, &subject.tenant, headers, &decoded).await;
    let beforehand = gateway.apart.look(gateway, generation, &subject.tenant, &decoded).await;
    let (side, past, beforehand) = (Side::InForce, &recalled.past, beforehand.as_ref());
    let view = View { gateway, generation, side, subject, headers, past, beforehand };
    let mut considered = consider(view, &decoded, entry.row.id)?;
    let explanation = serde_json::to_string_pretty(&considered.explain(&decoded)).unwrap_or_default() + "\n";
    note(entry, considered.view.policy(), &considered.weighed, considered.tried.take());
    Ok(explanation)
}
