//! The choices of one job: each a sequence of its own, all from one computation of the prompt.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::super::draft::Drafter;
use super::super::line::Rank;
use super::super::model::{Model, Prompt, Token};
use super::super::speech::Speech;
use super::super::tally::Tally;
use super::super::tools::Reading;
use super::super::{EngineError, Job, Sharing};
use super::{Asker, Sequence, Worker};
use crate::chat::Priority;
use crate::chat::reply::{Predicted, Usage};
use crate::chat::request::{ResponseFormat, ToolChoice};

/// What all choices of a job have in common.
pub(super) struct Group {
    pub(super) sharing: Sharing,
    pub(super) priority: Priority,
    /// Which adapter answers; 0 is none.
    pub(super) adapter: usize,
    /// Whether the same request must give the same answer whatever is kept.
    pub(super) exactly: bool,
    pub(super) prompt: Vec<Token>,
    pub(super) asker: Asker,
    pub(super) arrived: Instant,
    pub(super) deadline: Instant,
    /// Most tokens that each choice may generate.
    pub(super) cap: usize,
    /// How many of the most likely tokens are to be told with each, where likelihoods are asked for.
    pub(super) logprobs: Option<usize>,
    /// How the answer is to be read.
    pub(super) reading: Reading,
    choices: u32,
    /// How many of the prompt's tokens were computed before.
    pub(super) kept: Cell<usize>,
    /// How many choices have ended.
    ended: Cell<u32>,
    /// How many tokens these generated.
    generated: Cell<usize>,
    /// How many tokens of all choices were thoughts.
    pub(super) thought: Cell<usize>,
    /// What became of what the client predicts, where it does.
    pub(super) predicted: Cell<Option<Predicted>>,
    /// How sure the model was of the tokens of all choices.
    pub(super) tally: Cell<Tally>,
}

impl Group {
    /// Of `job`, whose answers have at most `cap` tokens each.
    pub(super) fn new(job: &Job, adapter: usize, prompt: Prompt, cap: usize, asker: Asker, arrived: Instant) -> Self {
        Self {
            sharing: job.sharing.clone(),
            priority: job.priority,
            adapter,
            exactly: job.request.sampling.seed.is_some(),
            prompt: prompt.tokens,
            asker,
            arrived,
            deadline: job.deadline,
            cap,
            logprobs: job.request.sampling.logprobs.map(|top| top as usize),
            reading: prompt.reading,
            choices: job.choices(),
            kept: Cell::new(0),
            ended: Cell::new(0),
            generated: Cell::new(0),
            thought: Cell::new(0),
            predicted: Cell::new(job.request.prediction.as_ref().map(|_| Predicted::default())),
            tally: Cell::default(),
        }
    }

    /// Whether the reader can take whatever the next token of every choice brings.
    pub(super) fn has_room(&self) -> bool {
        self.asker.has_room(self.choices)
    }

    /// A choice has ended after so many tokens. After the last one, what all of them used.
    pub(super) fn ended(&self, generated: usize) -> Option<Usage> {
        self.ended.set(self.ended.get() + 1);
        self.generated.set(self.generated.get() + generated);
        (self.ended.get() == self.choices).then(|| Usage {
            input: self.prompt.len() as u64,
            output: self.generated.get() as u64,
            cached_input: self.kept.get() as u64,
            reasoning: self.thought.get() as u64,
            predicted: self.predicted.get(),
            ..Usage::default()
        })
    }
}

impl<M: Model> Worker<'_, M> {
    /// The prompt of `job`.
    pub(super) fn read(&self, job: &Job) -> Result<Prompt, EngineError> {
        let mut prompt = self.model.prompt(&job.request)?;
        // What must have a form leaves no room for a thought.
        let must_call = matches!(job.request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        prompt.reading.is_thinking &= job.request.response_format == ResponseFormat::Text && !must_call;
        let (tokens, context) = (prompt.tokens.len(), self.model.context());
        if tokens >= context {
            return Err(EngineError::PromptTooLong { tokens: tokens as u64, limit: context as u64 - 1 });
        }
        Ok(prompt)
    }

    /// Most tokens that each answer to `prompt` may have.
    fn cap(&self, job: &Job, prompt: &Prompt) -> usize {
        (job.max_output.max(1) as usize).min(self.model.context() - prompt.tokens.len())
    }

    /// The choices of a job; the first computes the prompt.
    pub(super) fn begin(
        &self,
        job: &Job,
        adapter: usize,
        asker: Asker,
        arrived: Instant,
    ) -> Result<Vec<Sequence<M::Sampler>>, EngineError> {
        let mut prompt = self.read(job)?;
        let (reading, cap) = (prompt.reading, self.cap(job, &prompt));
        let prediction = std::mem::take(&mut prompt.prediction);
        let group = Rc::new(Group::new(job, adapter, prompt, cap, asker, arrived));
        // What is computed together with guesses is rounded otherwise.
        let guesses = self.model.can_forget() && !group.exactly;
        let choice = |index| {
            Ok(Sequence {
                group: group.clone(),
                index,
                sampler: self.model.sampler(&job.request, reading, index, cap)?,
                drafter: guesses.then(|| Drafter::new(&group.prompt, &prediction)),
                predicted: Cell::new(false),
                speech: Speech::new(index, &job.request, reading),
                admitted: Instant::now(),
                generated: 0,
                last: 0,
            })
        };
        (0..job.choices()).map(choice).collect()
    }

    /// Which of the choices that wait is next, and of which rank it is.
    pub(super) fn next_choice(&self) -> Option<(usize, Rank)> {
        let rank = |choice: &Sequence<_>| Rank::new(choice.group.priority, self.held_by(&choice.group.sharing.tenant));
        self.waiting.iter().map(rank).enumerate().min_by_key(|(_, rank)| *rank)
    }

    /// How many slots the jobs of `tenant` hold.
    pub(super) fn held_by(&self, tenant: &str) -> usize {
        let is_its = |sequence: &&Sequence<_>| &*sequence.group.sharing.tenant == tenant;
        self.sequences.iter().flatten().filter(is_its).count()
    }

    /// The slot that is about to compute the prompt of `group`.
    pub(super) fn leader_of(&self, group: &Rc<Group>) -> Option<usize> {
        (0..self.sequences.len()).find(|&slot| self.schedule.leads(slot) && self.is_of(slot, group))
    }

    /// Whether `slot` is at work on a choice of `group`.
    pub(super) fn is_of(&self, slot: usize, group: &Rc<Group>) -> bool {
        self.sequences[slot].as_ref().is_some_and(|sequence| Rc::ptr_eq(&sequence.group, group))
    }

    /// Gives the followers of `leader`, which has just computed its prompt, a copy of that. The slots that got one.
    pub(super) fn join_followers(&mut self, leader: usize) -> Vec<usize> {
        let followers = self.schedule.followers(leader);
        if followers.is_empty() {
            return followers;
        }
        let state = self.model.save(leader);
        let mut joined = Vec::with_capacity(followers.len());
        for slot in followers {
            if state.as_ref().is_some_and(|state| self.model.restore(slot, state)) {
                self.prefixes.copied(leader, slot);
                self.schedule.join(slot);
                joined.push(slot);
            } else if let Some(sequence) = self.sequences[slot].take() {
                self.start(slot, &sequence);
                self.sequences[slot] = Some(sequence);
            }
        }
        joined
    }
}
