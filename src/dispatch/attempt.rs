//! One attempt at one destination, once it is prepared.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::answer::{Answer, Broken};
use super::local::{Engine, Job, Notes, Sharing, Turn};
use super::remote::{Affinity, Lease, Reading};
use super::{Dispatcher, Failure, speaks};
use crate::chat::reply::Embedded;
use crate::chat::{ChatRequest, MicroUsd, Priority, RequestId, ResponseFormat, Streaming, Task, Usage};
use crate::dialect::anthropic::header::Said;
use crate::dialect::edit::EditPoints;
use crate::dialect::{Dialect, Uses};
use crate::egress::Shipment;
use crate::policy::{Destination, Permit};
use crate::transform::Restorer;

/// What an attempt carries.
pub struct Attempt<'a> {
    /// Of which request.
    pub id: RequestId,
    /// Which attempt of that request, from 1.
    pub number: u32,
    /// What the client speaks.
    pub dialect: Dialect,
    /// To whom.
    pub destination: &'a Destination,
    /// The request, neutral.
    pub request: &'a Arc<ChatRequest>,
    /// The client's bytes.
    pub body: &'a Bytes,
    /// Where they may be edited.
    pub points: &'a EditPoints,
    /// What it needs.
    pub uses: Uses,
    /// Fields of the body that have no neutral word.
    pub unsaid: &'a [&'static str],
    /// What the client says in headers of Anthropic's dialect.
    pub said: &'a Said,
    /// Cap on the answer in tokens.
    pub max_output: u32,
    /// What it can cost at most.
    pub max_cost: MicroUsd,
    /// When the client has waited long enough.
    pub deadline: Instant,
    /// With whom the engine may share computed prompts.
    pub sharing: Sharing,
    /// How urgent it is to the engine.
    pub priority: Priority,
    /// Which of a provider's credentials suits it.
    pub affinity: Affinity,
    /// Is told what the engine notes of it.
    pub notes: Notes,
}

/// An attempt that can be made: its body is built, transformed and found clean.
pub enum Prepared {
    /// The engine in this process sees the request as it came.
    Local {
        /// Which.
        engine: Engine,
        /// What the client asked for and the engine is not told.
        losses: Vec<&'static str>,
    },
    /// A provider gets this, and nothing else.
    Remote(Box<Departure>),
}

/// What leaves, and how its answer is read.
pub struct Departure {
    pub(super) permit: Permit,
    pub(super) shipment: Shipment,
    pub(super) lease: Lease,
    pub(super) restorer: Option<Arc<Restorer>>,
    pub(super) replaced: u32,
    pub(super) losses: Vec<&'static str>,
}

impl Prepared {
    /// How many originals the body has pseudonyms for.
    pub fn replaced(&self) -> u32 {
        match self {
            Self::Local { .. } => 0,
            Self::Remote(departure) => departure.replaced,
        }
    }

    /// What the client asked for and the destination is not told, since its dialect has no word for it.
    pub fn losses(&self) -> &[&'static str] {
        match self {
            Self::Local { losses, .. } => losses,
            Self::Remote(departure) => &departure.losses,
        }
    }
}

impl Dispatcher {
    /// One attempt.
    ///
    /// # Errors
    /// See [`Failure`]; nothing of an answer has reached the client then.
    pub async fn attempt(&self, prepared: Prepared, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
        let left = attempt.deadline.saturating_duration_since(Instant::now());
        let work = match prepared {
            Prepared::Local { engine, .. } => generate(engine, attempt).left_future(),
            Prepared::Remote(departure) => self.call(*departure, attempt).right_future(),
        };
        tokio::time::timeout(left, work).await.unwrap_or(Err(Failure::Deadline))
    }

    async fn call(&self, departure: Departure, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
        let Departure { permit, shipment, lease, restorer, .. } = departure;
        let provider = self.provider(attempt.destination).ok_or(Failure::Unfaithful)?;
        let speaks = speaks(provider, attempt.destination, attempt.dialect);
        let reading = Reading {
            dialect: attempt.dialect,
            speaks,
            asked_usage: attempt.request.streaming == Streaming::On { usage: true },
            answers_json: matches!(
                attempt.request.response_format,
                ResponseFormat::JsonObject | ResponseFormat::JsonSchema(_)
            ),
            // Other answers repeat nothing of the request.
            restorer: restorer.filter(|_| attempt.dialect.task().generates()),
        };
        let ticket = provider.admit()?;
        let entered = self.ledger.enter(permit, attempt.id, attempt.number).await?;
        let answer = provider.call(entered, shipment, lease, reading, attempt.deadline).await;
        self.numbers.called(&attempt.destination.via, &answer);
        match &answer {
            Ok(_) => ticket.succeeded(Instant::now()),
            Err(failure) => ticket.failed(failure, Instant::now()),
        }
        answer
    }
}

async fn generate(engine: Engine, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
    if attempt.request.task == Task::Embeddings {
        return embed(engine, attempt).await;
    }
    let job = Job {
        request: attempt.request.clone(),
        max_output: attempt.max_output,
        deadline: attempt.deadline,
        sharing: attempt.sharing.clone(),
        priority: attempt.priority,
    };
    let generation = engine.generate_noting(job, attempt.notes.clone())?;
    engine.ready_by(attempt.deadline).await?;
    Ok(Answer::Deltas(generation.map_err(Broken::Engine).boxed(), None))
}

async fn embed(engine: Engine, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
    let texts = attempt.request.messages.iter().map(|message| message.text().into()).collect();
    let turn = Turn { tenant: attempt.sharing.tenant.clone(), priority: attempt.priority };
    let vectors = engine.embed_noting(texts, turn, attempt.deadline, attempt.notes.clone());
    let (embeddings, ()) = tokio::try_join!(vectors, engine.ready_by(attempt.deadline))?;
    let usage = Some(Usage { input: embeddings.tokens, ..Usage::default() });
    Ok(Answer::Vectors(Embedded { vectors: embeddings.vectors, usage }))
}
