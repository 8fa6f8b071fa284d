//! Whom a client means by the name of a model.

use http::StatusCode;

use super::{Gateway, Policy};
use crate::chat::{ChatRequest, Task};
use crate::dialect::error::ApiError;
use crate::policy::DestinationId;

/// Lets the policy choose.
const ANY: &str = "auto";

/// What the client's `model` stands for: `None` lets the policy choose.
///
/// # Errors
/// 404 for a name that nothing knows, where the configuration rejects those or nobody else will do.
pub(super) fn preference(
    gateway: &Gateway,
    policy: &Policy,
    request: &ChatRequest,
) -> Result<Option<DestinationId>, ApiError> {
    let name = target(gateway, request);
    if name == ANY {
        return Ok(None);
    }
    let named = policy.set.destination_named(name).filter(|id| policy.set.destination(*id).is_model());
    match named.or_else(|| behind(policy, name).filter(|_| request.task == Task::Embeddings)) {
        Some(id) => Ok(Some(id)),
        None if gateway.config.models.unknown_is_auto && !insists(gateway, request) => Ok(None),
        None => Err(no_such_model()),
    }
}

/// A model name that nothing knows.
pub fn no_such_model() -> ApiError {
    let message = "this model does not exist; `GET /v1/models` lists what does, `auto` lets the policy choose";
    let error = ApiError::new(StatusCode::NOT_FOUND, message).code("model_not_found");
    ApiError { param: Some("model".to_owned()), ..error }
}

/// Whether nobody but the named may answer: vectors of two models cannot be compared, and nothing would show that some
/// are another's.
pub(super) fn insists(gateway: &Gateway, request: &ChatRequest) -> bool {
    request.task == Task::Embeddings && target(gateway, request) != ANY
}

/// The first who makes vectors with the model that its provider calls so: applications name it as they always did.
fn behind(policy: &Policy, model: &str) -> Option<DestinationId> {
    let destinations = (0..).map(DestinationId).zip(&policy.set.destinations);
    let mut known = destinations.filter(|(_, d)| d.is_model() && d.answers(Task::Embeddings) && d.model == model);
    known.next().map(|(id, _)| id)
}

fn target<'a>(gateway: &'a Gateway, request: &'a ChatRequest) -> &'a str {
    gateway.config.models.alias(&request.model).unwrap_or(&request.model)
}
