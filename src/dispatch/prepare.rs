//! What an attempt sends: the client's bytes or a translation, transformed, proved faithful, and under a permit.

use super::attempt::{Attempt, Departure, Prepared};
use super::local::Engine;
use super::remote::Provider;
use super::{Dispatcher, Failure, speaks};
use crate::chat::{Json, Task};
use crate::dialect::anthropic::header::{self, Said};
use crate::dialect::edit::{self, Edits, StreamOptions};
use crate::dialect::{Dialect, SERVICE_TIER, Target, faithful};
use crate::policy::permit::Outbound;
use crate::policy::{Grant, TransformSet};
use crate::transform::{Disguise, Outgoing, TransformError};

impl Dispatcher {
    /// Builds what an attempt sends: the client's bytes, transformed by `disguise` where the grant asks for transforms,
    /// with the edits that are ours, under a permit for exactly these bytes. The grant is used up, whatever becomes of
    /// it.
    ///
    /// # Errors
    /// [`Failure::Transform`], [`Failure::Unfaithful`], and [`Failure::Resting`] without a credential; nothing has left then.
    pub fn prepare(
        &self,
        grant: Grant,
        attempt: &Attempt<'_>,
        disguise: Option<&Disguise<'_>>,
    ) -> Result<Prepared, Failure> {
        if grant.transforms() != disguise.map_or(TransformSet::default(), |disguise| disguise.transforms) {
            return Err(Failure::Unfaithful);
        }
        match (self.engine(attempt.destination), disguise) {
            (Some(_), Some(_)) => return Err(TransformError::Embedded.into()),
            (Some(engine), None) => {
                return Ok(Prepared::Local { engine: engine.clone(), losses: unheard(engine, attempt) });
            }
            (None, _) => {}
        }
        // `unavailable` keeps destinations without a provider out of every plan.
        let provider = self.provider(attempt.destination).ok_or(Failure::Unfaithful)?;
        let target = provider.target(&attempt.destination.model, attempt.max_output);
        let speaks = speaks(provider, attempt.destination, attempt.dialect);
        let (outgoing, mut losses) = match speaks && !provider.wire().refuses_seals(attempt.request) {
            true => (edited(attempt, disguise, &target)?, Vec::new()),
            false => translated(provider, attempt, disguise, &target)?,
        };
        if !speaks && attempt.dialect == Dialect::Completions {
            losses.push("raw_prompt");
        }
        let Outgoing { body, restorer, replaced } = outgoing;
        let said = match (speaks, disguise) {
            (true, None) => attempt.said.clone(),
            // Nothing in a header is transformed.
            (true, Some(_)) => attempt.said.without_betas(),
            (false, _) => Said::default(),
        };
        if attempt.said.betas.is_some() && said.plain_betas().is_none() {
            losses.push(header::BETA);
        }
        let lease = provider.lease(attempt.affinity)?;
        let task = attempt.dialect.task();
        let task = if !speaks && task.generates() { Task::Chat } else { task };
        let streams = attempt.request.streaming.is_on();
        let shipment = provider.shipment(body.into(), &target, task, streams, &said, &lease)?;
        let permit = grant.permit(&Outbound {
            url: shipment.url.as_str(),
            headers: &shipment.header_refs(),
            body: &shipment.body,
            max_cost: attempt.max_cost,
            expires: attempt.deadline,
        });
        Ok(Prepared::Remote(Box::new(Departure { permit, shipment, lease, restorer, replaced, losses })))
    }
}

/// What the client asked for and the engine is not told.
fn unheard(engine: &Engine, attempt: &Attempt<'_>) -> Vec<&'static str> {
    let is_heard = |name: &&str| attempt.request.flex && *name == SERVICE_TIER;
    let unsaid = attempt.unsaid.iter().filter(|name| !is_heard(name)).copied();
    unsaid.chain(engine.unheard(attempt.request)).collect()
}

/// The client's bytes with the few edits that are ours, and transformed where that is asked for, proved to differ from
/// what was classified in nothing else.
fn edited(attempt: &Attempt<'_>, disguise: Option<&Disguise<'_>>, target: &Target<'_>) -> Result<Outgoing, Failure> {
    let edits = Edits {
        model: Some(target.model.to_owned()),
        max_tokens: attempt.dialect.task().generates().then_some(target.max_output),
        cap_field: attempt.dialect.cap_field().unwrap_or(target.cap_field),
        stream_options: match attempt.dialect.asks_for_usage() {
            true if !target.stream_options => StreamOptions::Removed,
            true if attempt.request.streaming.is_on() => StreamOptions::AskForUsage,
            _ => StreamOptions::Left,
        },
    };
    if let Some(disguise) = disguise {
        return Ok(disguise.apply(attempt.body, &edits)?);
    }
    let original = Json::parse(attempt.body).map_err(|_| Failure::Unfaithful)?;
    let body = edit::apply(attempt.body, attempt.points, &edits);
    edit::verify(&original, &body, &edits).map_err(|_| Failure::Unfaithful)?;
    Ok(Outgoing { body, restorer: None, replaced: 0 })
}

/// The request in the provider's dialect, without what others sealed, transformed before it is translated where that is
/// asked for, proved to say only what was classified; and what it leaves out.
fn translated(
    provider: &Provider,
    attempt: &Attempt<'_>,
    disguise: Option<&Disguise<'_>>,
    target: &Target<'_>,
) -> Result<(Outgoing, Vec<&'static str>), Failure> {
    let disguised = disguise.map(|disguise| disguise.apply(attempt.body, &Edits::default())).transpose()?;
    let body = disguised.as_ref().map_or(&attempt.body[..], |outgoing| &outgoing.body);
    let json = Json::parse(body).map_err(|_| Failure::Unfaithful)?;
    let decoded = attempt.dialect.decode(body, &json).map_err(|_| Failure::Unfaithful)?;
    let wire = provider.wire();
    if wire.speaks(attempt.dialect) && !decoded.uses.missing_from(wire.expresses()).is_empty() {
        // Another's seal is refused there, but what would be left out in silence is worse.
        return Ok((edited(attempt, disguise, target)?, Vec::new()));
    }
    let rendered = wire.render(&decoded.request, target)?;
    faithful::verify(&rendered.body, &decoded.parts, wire.words(decoded.request.task), target)
        .map_err(|_| Failure::Unfaithful)?;
    let losses = [attempt.unsaid, &rendered.losses].concat();
    let (restorer, replaced) = disguised.map_or((None, 0), |outgoing| (outgoing.restorer, outgoing.replaced));
    Ok((Outgoing { body: rendered.body, restorer, replaced }, losses))
}
