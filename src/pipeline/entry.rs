//! The record of one request, which is written whatever becomes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use ulid::Ulid;

use super::Gateway;
use super::continuing::Keeping;
use super::respond::Head;
use super::taint::Risen;
use crate::chat::{ChatRequest, MicroUsd, RequestId, Usage};
use crate::dialect::Dialect;
use crate::dialect::error::ApiError;
use crate::dialect::id::answer_id;
use crate::dispatch::local::Notes;
use crate::govern::{Explain, Subject};
use crate::record::{Cache, Label, Outcome, Row};
use crate::transform::Tally;

/// nginx's status for a client that left before its answer.
const CLIENT_CLOSED: u16 = 499;

/// Largest answer that is kept where a policy keeps text, in bytes.
const MAX_KEPT: usize = 1 << 20;

/// The record while the request lives; dropping it writes the row.
///
/// It begins as a hang-up, the one end that nobody is there to report: whoever knows better says so.
pub(crate) struct Entry {
    pub(crate) row: Box<Row>,
    pub(crate) dialect: Dialect,
    subject: Arc<Subject>,
    started: Instant,
    gateway: Arc<Gateway>,
    /// What attempts that brought no answer may have cost.
    wasted: MicroUsd,
    /// What those who continue the answer inherit, until its id is seen.
    risen: Option<Risen>,
    /// What is kept for those who continue the answer.
    keeping: Option<Keeping>,
    /// What a set that is tried would say of it, for the client.
    pub(crate) warning: Option<Label>,
    /// What the client asked for and the destination of the last attempt was not told.
    pub(crate) losses: Vec<&'static str>,
    /// What the embedded engine notes of it.
    pub(crate) notes: Notes,
}

/// What response headers tell about a request.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub(crate) id: RequestId,
    pub(crate) dialect: Dialect,
    pub(crate) explain: Explain,
    pub(crate) route: Option<Arc<str>>,
    /// The beginning of the policy set's digest.
    pub(crate) policy: Option<Arc<str>>,
    pub(crate) reason: Option<Label>,
    pub(crate) cache: Cache,
    pub(crate) warning: Option<Label>,
}

impl Entry {
    pub(crate) fn begin(gateway: &Arc<Gateway>, subject: &Arc<Subject>, dialect: Dialect) -> Self {
        let mut row = Row::new(RequestId(Ulid::generate()), jiff::Timestamp::now(), dialect.name());
        row.key = Some(subject.name.clone());
        row.tenant = Some(subject.tenant.clone());
        row.attributes = subject.attributes.clone();
        row.outcome = Outcome::HungUp;
        row.status = CLIENT_CLOSED;
        gateway.metrics.in_flight.inc();
        Self {
            row: Box::new(row),
            dialect,
            subject: subject.clone(),
            started: Instant::now(),
            gateway: gateway.clone(),
            wasted: MicroUsd::ZERO,
            risen: None,
            keeping: None,
            warning: None,
            losses: Vec::new(),
            notes: Notes::default(),
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The body was read and decoded.
    pub(crate) fn asks(&mut self, request: &ChatRequest, decoding: Duration) {
        self.row.asked_model = Some(request.model.clone());
        self.row.stream = request.streaming.is_on();
        self.row.timing.parse = Some(millis(decoding));
    }

    /// Milliseconds since the request arrived.
    pub(crate) fn elapsed_ms(&self) -> f64 {
        millis(self.started.elapsed())
    }

    pub(crate) fn labels(&self) -> Labels {
        let row = &self.row;
        Labels {
            id: row.id,
            dialect: self.dialect,
            explain: self.subject.explain,
            route: row.route.clone(),
            policy: row.policy.as_deref().map(|digest| digest[..12.min(digest.len())].into()),
            reason: row.reason.clone(),
            cache: row.cache,
            warning: self.warning.clone(),
        }
    }

    pub(crate) fn end(&mut self, outcome: Outcome, status: StatusCode, reason: &'static str) {
        self.row.outcome = outcome;
        self.row.status = status.as_u16();
        self.row.reason = Some(Label::Borrowed(reason));
    }

    pub(crate) fn answered(&mut self) {
        self.row.outcome = Outcome::Answered;
        self.row.status = StatusCode::OK.as_u16();
    }

    /// Records what the client is told. A reason that is there already is the policy's own word, which stays.
    pub(crate) fn failed(&mut self, error: &ApiError) {
        self.row.outcome = match error.status {
            StatusCode::TOO_MANY_REQUESTS => Outcome::Limited,
            StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused,
            status if status.is_client_error() => Outcome::Invalid,
            _ => Outcome::Failed,
        };
        self.row.status = error.status.as_u16();
        if self.row.outcome != Outcome::Refused || self.row.reason.is_none() {
            self.row.reason = Some(Label::Borrowed(error.code));
        }
    }

    /// The answer is another request's as well.
    pub(crate) fn shared(&mut self, cache: Cache, head: &Head) {
        self.row.cache = cache;
        self.row.served_by = Some(head.served_by.clone());
        self.row.cost = Some(MicroUsd::ZERO);
    }

    /// An attempt goes out that may cost `worst_case`: what the record says unless its end is seen.
    pub(crate) fn sent(&mut self, worst_case: MicroUsd) {
        self.row.cost = Some(self.wasted + worst_case);
        self.row.usage_estimated = true;
    }

    /// An attempt brought no answer and yet may have cost `spent`.
    pub(crate) fn unanswered(&mut self, spent: MicroUsd) {
        self.wasted += spent;
        let wasted = self.wasted > MicroUsd::ZERO;
        self.row.cost = wasted.then_some(self.wasted);
        self.row.usage_estimated = wasted;
    }

    /// The cost of all attempts where the last one's is `cost`.
    pub(crate) fn total_cost(&self, cost: MicroUsd) -> MicroUsd {
        self.wasted + cost
    }

    pub(crate) fn usage(&mut self, usage: Usage, cost: MicroUsd, estimated: bool) {
        self.row.input_tokens = Some(usage.input);
        self.row.output_tokens = Some(usage.output);
        self.row.cached_tokens = (!estimated && !usage.cache_untold).then_some(usage.cached_input);
        self.row.cost = Some(self.total_cost(cost));
        self.row.usage_estimated = estimated;
    }

    /// Whoever continues the answer to come inherits this.
    pub(super) fn rose(&mut self, risen: Risen) {
        self.risen = Some(risen).filter(Risen::lasts_by_answer);
    }

    /// Whoever continues the answer to come finds this.
    pub(super) fn keeps(&mut self, keeping: Option<Keeping>) {
        self.keeping = keeping;
    }

    /// What became of pseudonyms in the answer of the last attempt.
    pub(crate) fn restored(&mut self, tally: Tally) {
        if let Some(last) = self.row.transforms.last_mut() {
            last.restored += tally.restored;
            last.unrestored += tally.unrestored;
        }
    }

    /// Keeps of the answer what is kept: whose continuation inherits a class, itself for those who continue it, and the text
    /// where the policy keeps it.
    pub(crate) fn keep_answer(&mut self, bytes: &Bytes) {
        if let Some(id) = self.risen.as_ref().and_then(|_| answer_id(bytes))
            && let Some(risen) = self.risen.take()
        {
            self.gateway.taints.keep_answer(&self.subject.tenant, &id, &risen);
        }
        if self.keeping.as_mut().is_some_and(|keeping| keeping.note(bytes)) {
            self.keeping = None;
        }
        if let Some(text) = &mut self.row.text
            && text.answer.len() + bytes.len() <= MAX_KEPT
            && let Ok(more) = std::str::from_utf8(bytes)
        {
            text.answer.push_str(more);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.row.timing.total = self.elapsed_ms();
        self.row.timing.queue = self.notes.waited().map(millis);
        self.row.confidence = self.notes.confidence();
        self.gateway.metrics.finished(&self.row);
        if let Some(recorder) = &self.gateway.recorder {
            let blank = Box::new(Row::new(self.row.id, self.row.at, ""));
            recorder.record(*std::mem::replace(&mut self.row, blank));
        }
    }
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
