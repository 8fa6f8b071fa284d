//! The loop of a model that turns texts into vectors: admit, batch, compute, send; again.
//!
//! A batch takes one text of each job in turns until it is full, so that a long list delays a short one by one batch
//! and one that has left is noticed before the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::sync::oneshot;

use super::life::Shared;
use super::model::Token;
use super::pending::{Asked, Pending};
use super::{Embeddings, EngineError};

/// What the loop needs of a model.
pub(super) trait Embedder {
    /// `text` as the model reads it, with what it wants before and behind; an error says how many tokens it has at least.
    fn tokens(&self, text: &str) -> Result<Vec<Token>, u64>;

    /// One vector for each text, of whatever length.
    fn compute(&mut self, texts: &[&[Token]]) -> Result<Vec<Vec<f32>>, EngineError>;
}

/// How much a batch may contain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// How many texts.
    pub(super) texts: usize,
    /// Tokens of all texts.
    pub(super) tokens: usize,
    /// Tokens of each text; no more than of all.
    pub(super) longest: usize,
}

/// Serves `shared`'s queue with `model` until it is closed, so many `jobs` at a time.
pub(super) fn run<E: Embedder>(model: E, shared: &Shared, jobs: usize, batch: Batch) {
    let mut worker = Worker { model, shared, batch, most: jobs, jobs: VecDeque::new() };
    shared.note_ready();
    worker.serve();
}

struct Worker<'a, E> {
    model: E,
    shared: &'a Shared,
    batch: Batch,
    most: usize,
    /// Those that have begun, in the order of their turns.
    jobs: VecDeque<Job>,
}

/// Texts of which some vectors are computed.
struct Job {
    texts: Vec<Vec<Token>>,
    vectors: Vec<Vec<f32>>,
    /// How many of the texts are in this batch or were in an earlier one.
    taken: usize,
    reply: oneshot::Sender<Result<Embeddings, EngineError>>,
    tenant: Arc<str>,
    deadline: Instant,
    began: Instant,
}

impl<E: Embedder> Worker<'_, E> {
    fn serve(&mut self) {
        loop {
            self.shared.begin_round();
            let seen = self.shared.queue.epoch();
            if self.shared.queue.is_closed() {
                return self.jobs.drain(..).for_each(|job| job.fail(EngineError::Stopped));
            }
            self.drop_gone_and_late(Instant::now());
            self.admit();
            if !self.jobs.is_empty() {
                self.step();
            } else if !self.shared.sleep(seen) {
                return;
            }
        }
    }

    fn drop_gone_and_late(&mut self, now: Instant) {
        self.shared.drop_gone_and_late(now);
        for job in std::mem::take(&mut self.jobs) {
            match job {
                job if job.reply.is_closed() => {}
                job if job.deadline <= now => job.fail(EngineError::Deadline),
                job => self.jobs.push_back(job),
            }
        }
        self.note_busy();
    }

    fn admit(&mut self) {
        while let Some(pending) = self.next() {
            let Pending { asked: Asked::Embeddings { texts, reply, notes }, turn, deadline, arrived } = pending else {
                pending.refuse(EngineError::Unsupported("answers: its model makes embeddings"));
                continue;
            };
            notes.note_waited(arrived.elapsed());
            let texts = texts.iter().enumerate().map(|(index, text)| self.read(index, text.expose())).collect();
            match texts {
                Ok(texts) => {
                    self.jobs.push_back(Job {
                        texts,
                        vectors: Vec::new(),
                        taken: 0,
                        reply,
                        tenant: turn.tenant,
                        deadline,
                        began: Instant::now(),
                    });
                }
                // Fails only for somebody who has left.
                Err(error) => drop(reply.send(Err(error))),
            }
        }
        self.note_busy();
    }

    /// Whoever is next, where there is room for it.
    fn next(&self) -> Option<Pending> {
        let held = |tenant: &str| self.jobs.iter().filter(|job| &*job.tenant == tenant).count();
        if self.jobs.len() < self.most { self.shared.next(held, None) } else { None }
    }

    fn read(&self, index: usize, text: &str) -> Result<Vec<Token>, EngineError> {
        let limit = self.batch.longest as u64;
        let too_long = |tokens| EngineError::InputTooLong { index, tokens, limit };
        let tokens = self.model.tokens(text).map_err(too_long)?;
        match tokens.len() {
            0 => Err(EngineError::InputEmpty { index }),
            many if many > self.batch.longest => Err(too_long(many as u64)),
            _ => Ok(tokens),
        }
    }

    fn step(&mut self) {
        let turns = self.fill();
        let texts: Vec<&[Token]> = turns.iter().map(|&(job, text)| &self.jobs[job].texts[text][..]).collect();
        match self.model.compute(&texts) {
            Ok(vectors) => {
                for (vector, (job, _)) in vectors.into_iter().zip(&turns) {
                    self.jobs[*job].vectors.push(normalised(vector));
                }
            }
            Err(error) => {
                tracing::error!(%error, "A batch of the local engine failed; its jobs are ended.");
                self.jobs.drain(..).for_each(|job| job.fail(error.clone()));
            }
        }
        // Who was first is last in the next batch.
        self.jobs.rotate_left(1.min(self.jobs.len()));
        for job in std::mem::take(&mut self.jobs) {
            if job.vectors.len() < job.texts.len() {
                self.jobs.push_back(job);
            } else {
                self.shared.gauges.job_ms.add(job.began.elapsed().as_secs_f64() * 1000.0);
                job.finish();
            }
        }
        self.note_busy();
    }

    /// The texts of the next batch: of which job, and which one.
    fn fill(&mut self) -> Vec<(usize, usize)> {
        let (mut batch, mut left) = (Vec::new(), self.batch.tokens);
        loop {
            let before = batch.len();
            for (at, job) in self.jobs.iter_mut().enumerate() {
                let fits = job.texts.get(job.taken).is_some_and(|text| text.len() <= left);
                if fits && batch.len() < self.batch.texts {
                    left -= job.texts[job.taken].len();
                    batch.push((at, job.taken));
                    job.taken += 1;
                }
            }
            if batch.len() == before {
                return batch;
            }
        }
    }

    fn note_busy(&self) {
        if self.shared.gauges.busy_slots.swap(self.jobs.len(), Relaxed) != self.jobs.len() {
            self.shared.note_used();
        }
    }
}

impl Job {
    fn finish(self) {
        let tokens = self.texts.iter().map(|text| text.len() as u64).sum();
        // Either fails only for somebody who has left.
        let _ = self.reply.send(Ok(Embeddings { vectors: self.vectors, tokens }));
    }

    fn fail(self, error: EngineError) {
        let _ = self.reply.send(Err(error));
    }
}

/// `vector` at length 1, as its users compare directions; one of zeros stays.
fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    vector
}

#[cfg(test)]
mod tests;
