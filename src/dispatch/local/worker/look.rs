//! Looking at what a model makes of a prompt: a job whose prompt is computed among the others, but for its last token, and
//! that is never answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::super::model::{Model, Prompt, Token};
use super::super::speech::Speech;
use super::super::tools::Reading;
use super::super::{EngineError, Job, Look};
use super::choices::Group;
use super::{Asker, Sequence, Worker};
use crate::chat::ChatRequest;

impl<M: Model> Worker<'_, M> {
    /// Begins to look at the prompt of `job`. A reply is lost only where nobody waits for it any more.
    pub(super) fn take_look(
        &mut self,
        job: &Job,
        adapter: usize,
        reply: oneshot::Sender<Result<Look, EngineError>>,
        arrived: Instant,
    ) {
        let (prompt, last, sampler) = match self.prepare_look(job) {
            Ok(prepared) => prepared,
            Err(error) => return drop(reply.send(Err(error))),
        };
        if prompt.tokens.is_empty() {
            self.model.adapt(adapter);
            return drop(reply.send(self.model.look(0, 0, last)));
        }
        let asker = Asker::Looker { last, reply: RefCell::new(Some(reply)) };
        self.waiting.push_back(Sequence {
            group: Rc::new(Group::new(job, adapter, prompt, 1, asker, arrived)),
            index: 0,
            sampler,
            drafter: None,
            predicted: Cell::new(false),
            speech: Speech::new(0, &job.request, Reading::default()),
            admitted: Instant::now(),
            generated: 0,
            last,
        });
    }

    /// The prompt but for its last token, that, and a sampler that is of no use: nothing is drawn.
    fn prepare_look(&self, job: &Job) -> Result<(Prompt, Token, M::Sampler), EngineError> {
        let mut prompt = self.read(job)?;
        let last = prompt.tokens.pop().ok_or(EngineError::Unsupported("prompts without a token"))?;
        let sampler = self.model.sampler(&ChatRequest::default(), Reading::default(), 0, 1)?;
        Ok((prompt, last, sampler))
    }

    /// Tells who looks at `slot`, where all but the `last` token of the prompt is computed.
    pub(super) fn look(&mut self, slot: usize, last: Token) {
        let Some(sequence) = &self.sequences[slot] else { return };
        match self.model.look(slot, sequence.group.prompt.len(), last) {
            Ok(look) => sequence.group.asker.show(look),
            Err(error) => return self.fail(slot, &error),
        }
        self.shared.gauges.job_ms.add(sequence.admitted.elapsed().as_secs_f64() * 1000.0);
        self.release(slot);
    }
}
