//! Whether a request repeats another: by what it says, or by the `Idempotency-Key` that its client gives it.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use moka::sync::Cache;

use super::view::View;
use crate::cache::CacheKey;
use crate::cache::key::{CacheControl, Scope};
use crate::chat::Json;
use crate::dialect::Decoded;
use crate::dialect::error::ApiError;
use crate::policy::decision::Decision;
use crate::policy::rollout::Side;

/// Longest key that is taken.
const MAX_KEY: usize = 255;
/// How many keys are known at once, and for how long after their first use.
const MAX_KEYS: u64 = 100_000;
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How a request is known again.
pub(crate) struct Repeat {
    /// Under what its answer is found, under way or kept.
    pub(crate) key: CacheKey,
    /// Whether an answer that is kept may serve.
    pub(crate) looks: bool,
    /// Whether its answer may be kept.
    pub(crate) keeps: bool,
    /// Whether the client said that it is the same: then whoever of the plan answers, answers for all, and the answer is
    /// fetched to its end though the client has left, since it will ask again.
    pub(crate) named: bool,
}

/// The keys that clients gave, each with the body that it stood beside: both under hashes.
pub struct Named(Cache<[u8; 32], [u8; 32]>);

impl Default for Named {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_KEYS).time_to_live(LIFETIME).build())
    }
}

impl Named {
    /// Whether `key` has not stood beside another body.
    fn fits(&self, key: [u8; 32], body: [u8; 32]) -> bool {
        self.0.get_with(key, || body) == body
    }
}

impl Repeat {
    /// How the decided request is known; `None` where its answer is nobody else's.
    ///
    /// # Errors
    /// A key that is none, or that stood beside another body.
    pub(super) fn of(
        view: &View<'_>,
        decoded: &Decoded<'_>,
        decision: &Decision,
        body: (&[u8], &Json<'_>),
        betas: Option<&str>,
    ) -> Result<Option<Self>, ApiError> {
        let control = view.headers.get(http::header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let control = control.map(CacheControl::parse).unwrap_or_default();
        let (bytes, json) = body;
        let keeps = view.keeps_answers(decision) && !control.no_store;
        if let Some(name) = name(view.headers)? {
            let tenant = view.subject.tenant.as_bytes();
            let known = hash(&[tenant, view.subject.name.as_bytes(), name.as_bytes()]);
            if !view
                .gateway
                .named
                .fits(known, hash(&[decoded.dialect.name().as_bytes(), betas.unwrap_or_default().as_bytes(), bytes]))
            {
                return Err(reused());
            }
            let key = CacheKey::new(&scope(view, decoded, decision, "", name), json);
            return Ok(Some(Self { key, looks: true, keeps, named: true }));
        }
        // What one conversation's pseudonyms did is nobody else's.
        let plan = decision.plan();
        let transformed = plan.iter().any(|c| !decision.transforms[usize::from(c.id.0)].is_empty());
        // What a client tries of Anthropic's may change an answer.
        let repeats = keeps && betas.is_none() && view.repeats(decoded);
        let (true, false, Some(first)) = (repeats, transformed, plan.first()) else {
            return Ok(None);
        };
        let destination = &view.policy().set.destination(first.id).name;
        let key = CacheKey::new(&scope(view, decoded, decision, destination, ""), json);
        Ok(Some(Self { key, looks: !control.no_cache, keeps, named: false }))
    }
}

/// What a canary may keep depends on both sets.
fn scope<'a>(
    view: &'a View<'_>,
    decoded: &Decoded<'_>,
    decision: &Decision,
    destination: &'a str,
    named: &'a str,
) -> Scope<'a> {
    let policy = match (&view.generation.trial, view.side) {
        (Some(trial), Side::OnTrial) => &trial.digests,
        (_, Side::InForce) | (None, Side::OnTrial) => &*view.policy().set.digest,
    };
    let (tenant, dialect) = (&view.subject.tenant, decoded.dialect.name());
    Scope { tenant, class: decision.class, destination, policy, dialect, named }
}

fn name(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let name = value.to_str().ok().map(str::trim).filter(|name| (1..=MAX_KEY).contains(&name.len()));
    let bad = || {
        let message = format!("`Idempotency-Key` must have 1 to {MAX_KEY} characters of ASCII");
        ApiError::new(StatusCode::BAD_REQUEST, message).code("invalid_idempotency_key")
    };
    name.map(Some).ok_or_else(bad)
}

fn reused() -> ApiError {
    let message = "this `Idempotency-Key` stood beside another request; give each request a key of its own";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message).code("idempotency_key_reused")
}

/// Lengths are hashed too, so that no two different lists hash alike.
fn hash(pieces: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(&(piece.len() as u64).to_le_bytes()).update(piece);
    }
    *hasher.finalize().as_bytes()
}
