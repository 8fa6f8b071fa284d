//! What one policy set sees of a request: facts, the state of destinations, and the decision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;

use super::apart::Beforehand;
use super::generation::books;
use super::lazily::models_matter;
use super::preference::insists;
use super::taint::Past;
use super::{Gateway, Generation, Policy};
use crate::chat::{ChatRequest, MicroUsd, Part, Role, Source, Task};
use crate::classify::{Gain, Scan, Truth};
use crate::dialect::Decoded;
use crate::dialect::Feature;
use crate::govern::{Price, Spender, Standing, Subject};
use crate::policy::decision::Decision;
use crate::policy::explain::{self, Before, Circumstances, Explanation, Seen, Summary};
use crate::policy::facts::{RequestFacts, UNINSPECTABLE, facts};
use crate::policy::rollout::{Bounds, Side};
use crate::policy::set::Budget;
use crate::policy::{
    Destination, DestinationId, DestinationSet, DestinationState, Facts, Inputs, Transform, TransformSet, decide,
    decide_within,
};

/// Cap on an answer where neither client, policy nor price list knows one, in tokens.
const DEFAULT_MAX_OUTPUT: u32 = 4096;

/// From where a request is looked at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) generation: &'a Generation,
    pub(super) side: Side,
    pub(super) subject: &'a Subject,
    pub(super) headers: &'a HeaderMap,
    /// What the request's conversation was before.
    pub(super) past: &'a Past,
    /// What was seen of a large request already.
    pub(super) beforehand: Option<&'a Beforehand>,
}

/// What the detectors saw.
#[derive(Clone)]
pub(super) struct Looked {
    pub(super) scan: Scan,
    /// Whether those that are models looked too.
    pub(super) by_models: bool,
}

/// A request classified and decided.
pub(super) struct Weighed {
    looked: Arc<Looked>,
    pub(super) verdicts: Vec<Truth>,
    pub(super) gain: Option<Gain>,
    facts: Facts,
    states: Vec<DestinationState>,
    before: Option<Before>,
    preference: Option<DestinationId>,
    insists: bool,
    able: TransformSet,
    /// Whom the set in force keeps out where this one is only tried.
    outside: DestinationSet,
    pub(super) decision: Decision,
    pub(super) tokens_input: u64,
    pub(super) classifying: Duration,
    pub(super) deciding: Duration,
}

impl Weighed {
    /// What the record keeps.
    pub(super) fn summarize<'a>(&'a self, policy: &'a Policy) -> Summary<'a> {
        explain::summarize(&policy.set, &self.inputs(), &self.decision, self.seen())
    }

    /// Everything, for people.
    pub(super) fn explain<'a>(&'a self, view: &View<'a>, parts: &[Part<'_>]) -> Explanation<'a> {
        let sources: Vec<Source> = parts.iter().map(|part| part.source).collect();
        let circumstances = Circumstances {
            sources: &sources,
            budgets: &view.standings(),
            tokens_input: self.tokens_input,
            outside: self.outside,
        };
        explain::explain(&view.policy().set, &self.inputs(), &self.decision, self.seen(), circumstances)
    }

    pub(super) fn inputs(&self) -> Inputs<'_> {
        let floor = self.before.map(|before| before.floor);
        Inputs {
            facts: &self.facts,
            states: &self.states,
            floor,
            preference: self.preference,
            insists: self.insists,
            able: self.able,
        }
    }

    /// The request's facts.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What was found, and where.
    pub(super) fn scan(&self) -> &Scan {
        &self.looked.scan
    }

    fn seen(&self) -> Seen<'_> {
        let findings = &self.looked.scan.findings;
        Seen {
            verdicts: &self.verdicts,
            findings,
            gain: self.gain,
            before: self.before,
            stopped: self.looked.scan.stopped,
        }
    }
}

/// What can be done to a body here; what needs more stays out.
fn able(gateway: &Gateway) -> TransformSet {
    let mut able = TransformSet::default();
    if gateway.vaults.is_some() {
        able.insert(Transform::Pseudonymize);
        able.insert(Transform::RescanClean);
    }
    able
}

impl<'a> View<'a> {
    /// The set that looks.
    pub(super) fn policy(&self) -> &'a Arc<Policy> {
        self.generation.policy(self.side)
    }

    /// Classifies and decides.
    pub(super) fn weigh(&self, decoded: &Decoded<'_>, preference: Option<DestinationId>) -> Weighed {
        let (now, took) = (Instant::now(), self.beforehand.map_or(Duration::ZERO, |seen| seen.took));
        let looked = self.look(decoded);
        let gain = match self.beforehand {
            Some(seen) => seen.gain,
            None => self.gateway.estimator.gain(&asked(&decoded.request)),
        };
        self.decide(decoded, preference, looked, gain, now.checked_sub(took).unwrap_or(now))
    }

    /// As [`Self::weigh`], about what another set saw and estimated. Where their detectors are the same, nothing is looked
    /// at twice.
    pub(super) fn weigh_again(
        &self,
        decoded: &Decoded<'_>,
        preference: Option<DestinationId>,
        weighed: &Weighed,
        alike: bool,
    ) -> Weighed {
        let start = Instant::now();
        let looked = if alike { weighed.looked.clone() } else { self.look(decoded) };
        self.decide(decoded, preference, looked, weighed.gain, start)
    }

    /// Everything but the models: whether they must look depends on the rules.
    fn look(&self, decoded: &Decoded<'_>) -> Arc<Looked> {
        let seen = self.beforehand.and_then(|seen| match self.side {
            Side::InForce => Some(&seen.in_force),
            Side::OnTrial => seen.on_trial.as_ref(),
        });
        if let Some(looked) = seen {
            return looked.clone();
        }
        Arc::new(Looked {
            scan: self.policy().scanner.scan_exact(&self.subject.tenant, &decoded.parts),
            by_models: false,
        })
    }

    fn decide(
        &self,
        decoded: &Decoded<'_>,
        preference: Option<DestinationId>,
        mut looked: Arc<Looked>,
        gain: Option<Gain>,
        start: Instant,
    ) -> Weighed {
        let tokens_input = estimate_tokens(&decoded.parts);
        let states = self.states(decoded, tokens_input);
        let (set, scanner, able) = (&self.policy().set, &self.policy().scanner, able(self.gateway));
        let uses = used(decoded, &looked.scan);
        let facts = |verdicts: &[Truth]| self.facts(decoded, &uses, verdicts, gain, tokens_input);
        let before = self.past.before(set);
        let floor = before.map(|before| before.floor);
        let insists = insists(self.gateway, &decoded.request);
        let decide = |facts: &Facts| decide(set, &Inputs { facts, states: &states, floor, preference, insists, able });
        let waiting: Vec<u16> = scanner.models().filter(|_| !looked.by_models).collect();
        if models_matter(set, &self.verdicts(&looked.scan), &waiting, |verdicts| decide(&facts(verdicts))) {
            self.recognise(&decoded.parts, Arc::make_mut(&mut looked));
        }
        let classified = Instant::now();

        let verdicts = self.verdicts(&looked.scan);
        let facts = facts(&verdicts);
        let decision = decide(&facts);
        Weighed {
            classifying: classified - start,
            deciding: classified.elapsed(),
            looked,
            verdicts,
            gain,
            facts,
            states,
            before,
            preference,
            insists,
            able,
            outside: DestinationSet::EMPTY,
            decision,
            tokens_input,
        }
    }

    /// What the detectors, and the labels of request and key, say.
    fn verdicts(&self, scan: &Scan) -> Vec<Truth> {
        let mut verdicts: Vec<Truth> = scan.results.iter().map(|result| result.truth).collect();
        self.read_labels(&mut verdicts);
        verdicts
    }

    /// What the labels of request and key alone say to each detector.
    pub(super) fn labels(&self) -> Vec<Truth> {
        let mut verdicts = vec![Truth::False; self.policy().set.detectors.len()];
        self.read_labels(&mut verdicts);
        verdicts
    }

    /// Lets the models look, as long as they may take.
    fn recognise(&self, parts: &[Part<'_>], looked: &mut Looked) {
        let scanner = &self.policy().scanner;
        // A deadline beyond what clocks can tell is none.
        let until = Instant::now().checked_add(scanner.models_deadline().unwrap_or_default());
        scanner.recognise(parts, &mut looked.scan, &|| until.is_none_or(|until| Instant::now() < until));
        looked.by_models = true;
    }

    /// Decides again, within `bounds`.
    pub(super) fn decide_within(&self, weighed: Weighed, bounds: &Bounds) -> Weighed {
        let start = Instant::now();
        let decision = decide_within(&self.policy().set, &weighed.inputs(), bounds);
        let deciding = weighed.deciding + start.elapsed();
        Weighed { decision, deciding, outside: bounds.outside(self.policy().set.destinations.len()), ..weighed }
    }

    fn facts(
        &self,
        decoded: &Decoded<'_>,
        uses: &[&'static str],
        verdicts: &[Truth],
        gain: Option<Gain>,
        tokens_input: u64,
    ) -> Facts {
        let budgets = self.budget_shares();
        let local = self.local_facts();
        let max_output = decoded.request.sampling.max_tokens.unwrap_or(DEFAULT_MAX_OUTPUT);
        let request = RequestFacts {
            findings: verdicts,
            uses,
            tokens_input,
            tokens_max_output: max_output.into(),
            gain: gain.map(|gain| gain.value),
            budgets: &budgets,
            local: &local,
        };
        facts(&self.policy().set, &request, &self.attributes())
    }

    /// Labels on the request and on the key can only raise a verdict.
    fn read_labels(&self, verdicts: &mut [Truth]) {
        for label in &self.policy().set.labels {
            let header = label.header.iter().flat_map(|name| self.headers.get_all(name.as_str()));
            // What cannot be read is not `none`.
            let said = header.map(|value| value.to_str().unwrap_or("unreadable").trim());
            let truth = label.truth(&self.policy().set.vocabulary, said, &self.subject.attributes);
            verdicts[label.detector] = verdicts[label.detector] | truth;
        }
    }

    fn budget_shares(&self) -> Vec<Option<f64>> {
        let (now, ledger, books) = (jiff::Timestamp::now(), &self.generation.ledger, books(self.side));
        let share = |budget: &Budget| ledger.used_fraction_in(books, &budget.id, self.spender(), now);
        self.policy().set.budgets.iter().map(share).collect()
    }

    fn standings(&self) -> Vec<Option<Standing>> {
        let (now, ledger, books) = (jiff::Timestamp::now(), &self.generation.ledger, books(self.side));
        self.policy().set.budgets.iter().map(|b| ledger.standing(books, &b.id, self.spender(), now)).collect()
    }

    fn spender(&self) -> Spender<'a> {
        Spender { key: &self.subject.name, attributes: &self.subject.attributes }
    }

    /// The key's attributes, and those that headers may set.
    fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::new();
        for (name, value) in self.subject.attributes.iter() {
            attributes.insert(format!("key.{name}"), value.clone());
        }
        for (name, header) in &self.gateway.config.headers {
            if let Some(value) = self.headers.get(header) {
                // What cannot be read is no word of the vocabulary, and so unknown.
                attributes.insert(name.clone(), value.to_str().unwrap_or_default().trim().to_owned());
            }
        }
        attributes
    }

    /// The facts of the first embedded destination.
    fn local_facts(&self) -> Vec<(&'static str, f64)> {
        let engine = self.policy().set.destinations.iter().find_map(|d| self.gateway.dispatcher.engine(d));
        engine.map_or_else(Vec::new, |engine| {
            let facts = engine.facts();
            vec![
                ("queue", facts.queue as f64),
                ("free_slots", facts.free_slots as f64),
                ("tokens_per_second", facts.tokens_per_second),
                ("ttft_ms", facts.ttft_ms),
            ]
        })
    }

    fn states(&self, decoded: &Decoded<'_>, tokens_input: u64) -> Vec<DestinationState> {
        let dispatcher = &self.gateway.dispatcher;
        let set = &self.policy().set;
        let asked = decoded.request.sampling.max_tokens;
        let answers = u64::from(decoded.request.sampling.answers());
        let prompt = longest_prompt(decoded).unwrap_or(tokens_input);
        let state = |(i, destination): (usize, &Destination)| {
            if !destination.is_model() {
                return DestinationState { worst_case: Some(MicroUsd::ZERO), ..DestinationState::default() };
            }
            let id = DestinationId(i as u8);
            let max_output = asked.unwrap_or_else(|| usual_max_output(self.gateway, self.policy(), id));
            let lacks = dispatcher.lacks(destination, decoded.dialect, decoded.uses);
            let lacks = lacks.or_else(|| self.too_long(id, prompt).then_some("context"));
            let unavailable = dispatcher.unavailable(destination);
            DestinationState {
                unavailable,
                rest: unavailable.and_then(|_| dispatcher.rest(destination)),
                lacks,
                worst_case: destination
                    .price
                    .map(|price| price.worst_case(tokens_input, u64::from(max_output) * answers)),
                p_ok: None,
                assumed: false,
                ttft: None,
                ignores_reasoning: dispatcher.ignores_reasoning(destination, &decoded.request),
                answered: self.past.companion.answered(destination, tokens_input, max_output.into()),
            }
            .assuming(set, id)
        };
        set.destinations.iter().enumerate().map(state).collect()
    }

    /// Whether a prompt surely exceeds the destination's context: the estimate is from above, so half of it counts.
    fn too_long(&self, id: DestinationId, tokens: u64) -> bool {
        let context = context_window(self.gateway, self.policy(), id);
        context.is_some_and(|context| tokens / 2 > context)
    }

    /// Whether an answer to a request so decided may be kept at all.
    pub(super) fn keeps_answers(&self, decision: &Decision) -> bool {
        let sink = self.policy().set.sink("cache");
        self.gateway.cache.is_some() && sink.is_some_and(|(sink, _)| decision.permitted.contains(sink))
    }

    /// Whether one answer may serve all who ask the same.
    pub(super) fn repeats(&self, decoded: &Decoded<'_>) -> bool {
        let sampled = || self.policy().set.sink("cache").is_some_and(|(_, cache)| cache.cache_sampled);
        decoded.request.is_deterministic() || sampled()
    }
}

/// What is asked: the last user message, which says how hard the request is.
pub(super) fn asked(request: &ChatRequest) -> String {
    let last = request.messages.iter().rev().find(|message| message.role == Role::User);
    last.map(|message| message.text()).unwrap_or_default()
}

/// What the request uses, what it asks for, and whether it holds what no detector can look into.
fn used(decoded: &Decoded<'_>, scan: &Scan) -> Vec<&'static str> {
    let task = decoded.request.task.name();
    let features = decoded.uses.iter().map(Feature::name);
    features.chain([task]).chain(scan.uninspectable.then_some(UNINSPECTABLE)).collect()
}

/// Prompt tokens from above: a token is hardly ever shorter than three bytes of text, and each part adds a few of its
/// own. Media are not counted here.
pub(super) fn estimate_tokens(parts: &[Part<'_>]) -> u64 {
    let counted = parts.iter().filter(|part| !matches!(part.source, Source::Media | Source::Parameter));
    counted.map(|part| tokens(&part.text)).sum::<u64>() + 8
}

fn tokens(text: &str) -> u64 {
    text.len() as u64 / 3 + 4
}

/// Tokens of the longest prompt, from above, where a request has several: each is read for itself.
fn longest_prompt(decoded: &Decoded<'_>) -> Option<u64> {
    let texts = decoded.parts.iter().filter(|part| part.source == Source::User);
    let longest = texts.map(|part| tokens(&part.text)).max();
    longest.filter(|_| decoded.request.task == Task::Embeddings)
}

/// The cap on the answer where the client states none.
pub(super) fn usual_max_output(gateway: &Gateway, policy: &Policy, id: DestinationId) -> u32 {
    let destination = policy.set.destination(id);
    let known = match destination.is_embedded() {
        true => context_window(gateway, policy, id),
        false => listed(gateway, destination, |price| price.max_output),
    };
    known.and_then(|tokens| u32::try_from(tokens).ok()).unwrap_or(DEFAULT_MAX_OUTPUT)
}

fn context_window(gateway: &Gateway, policy: &Policy, id: DestinationId) -> Option<u64> {
    let destination = policy.set.destination(id);
    if let Some(stated) = destination.context {
        return Some(stated.into());
    }
    if destination.is_embedded() {
        let local = gateway.config.local.iter().find(|l| l.name == destination.model || l.model == destination.model);
        return local.map(|local| local.context.into());
    }
    listed(gateway, destination, |price| price.context)
}

/// What the set's own price list says of a model, else what the catalogue does.
fn listed(gateway: &Gateway, destination: &Destination, what: impl Fn(Price) -> Option<u64>) -> Option<u64> {
    let catalogue = || gateway.prices.price(&destination.model).and_then(&what);
    destination.price.and_then(&what).or_else(catalogue)
}
