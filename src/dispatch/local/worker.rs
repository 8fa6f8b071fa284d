//! The step loop: admit, plan, decode, sample, send; again.
//!
//! It runs on the engine's own thread and never blocks on a reader: a sequence whose reader is behind is left out of
//! the step, one whose reader is gone leaves before the step.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::EngineError;
use super::engine::{Pending, RESERVE, Reply, Shared, State};
use super::model::{Input, Model, Token};
use super::schedule::{Limits, Schedule, Work};
use super::text::TextStream;
use crate::chat::Text;
use crate::chat::reply::{Delta, FinishReason, Usage};

/// How often deadlines are looked at while every sequence waits for its reader.
const PATIENCE: Duration = Duration::from_millis(50);

/// Serves `shared`'s queue with `model` until it is closed.
pub(super) fn run<M: Model>(model: M, shared: &Shared, slots: usize, limits: Limits) {
    let sequences = (0..slots).map(|_| None).collect();
    let mut worker = Worker { model, shared, schedule: Schedule::new(slots, limits), sequences };
    shared.state.send_replace(State::Ready);
    worker.serve();
}

struct Worker<'a, M: Model> {
    model: M,
    shared: &'a Shared,
    schedule: Schedule,
    /// By slot.
    sequences: Vec<Option<Sequence<M::Sampler>>>,
}

/// An answer in the making.
struct Sequence<S> {
    prompt: Vec<Token>,
    sampler: S,
    text: TextStream,
    replies: mpsc::Sender<Reply>,
    arrived: Instant,
    admitted: Instant,
    deadline: Instant,
    /// Most tokens that may be generated.
    cap: usize,
    generated: usize,
    last: Token,
}

impl<M: Model> Worker<'_, M> {
    fn serve(&mut self) {
        loop {
            let seen = self.shared.queue.epoch();
            if self.shared.queue.is_closed() {
                return self.stop();
            }
            self.drop_gone_and_late(Instant::now());
            self.admit();
            let step = self.schedule.plan(|slot| self.sequences[slot].as_ref().is_some_and(Sequence::has_room));
            if step.is_empty() {
                let patience = (self.schedule.busy() > 0).then_some(PATIENCE);
                self.shared.queue.wait(seen, patience);
            } else {
                self.step(&step);
            }
        }
    }

    /// Ends what nobody reads any more and what has run out of time, waiting or generating.
    fn drop_gone_and_late(&mut self, now: Instant) {
        let leaves = |pending: &Pending| pending.replies.is_closed() || pending.job.deadline <= now;
        for pending in self.shared.queue.take_if(leaves) {
            send(&pending.replies, Err(EngineError::Deadline));
        }
        for slot in 0..self.sequences.len() {
            match &self.sequences[slot] {
                Some(sequence) if sequence.replies.is_closed() => self.release(slot),
                Some(sequence) if sequence.deadline <= now => self.fail(slot, EngineError::Deadline),
                _ => {}
            }
        }
    }

    fn admit(&mut self) {
        while self.schedule.has_room() {
            let Some(pending) = self.shared.queue.pop() else { return };
            let sequence = match self.begin(&pending) {
                Ok(sequence) => sequence,
                Err(error) => {
                    send(&pending.replies, Err(error));
                    continue;
                }
            };
            if let Some(slot) = self.schedule.admit(sequence.prompt.len()) {
                self.sequences[slot] = Some(sequence);
            }
            self.note_busy();
        }
    }

    fn begin(&self, pending: &Pending) -> Result<Sequence<M::Sampler>, EngineError> {
        let Pending { job, replies, arrived } = pending;
        let prompt = self.model.prompt(&job.request)?;
        let context = self.model.context();
        if prompt.len() >= context {
            return Err(EngineError::PromptTooLong { tokens: prompt.len() as u64, limit: context as u64 - 1 });
        }
        let cap = (job.max_output.max(1) as usize).min(context - prompt.len());
        Ok(Sequence {
            sampler: self.model.sampler(&job.request.sampling, cap),
            text: TextStream::new(&job.request.sampling.stop),
            replies: replies.clone(),
            arrived: *arrived,
            admitted: Instant::now(),
            deadline: job.deadline,
            cap,
            generated: 0,
            last: 0,
            prompt,
        })
    }

    fn step(&mut self, step: &[Work]) {
        let began = Instant::now();
        let inputs: Vec<Input> = step.iter().flat_map(|work| self.inputs(work)).collect();
        if let Err(error) = self.model.decode(&inputs) {
            tracing::error!(%error, "A step of the local engine failed; its sequences are ended.");
            for work in step {
                self.fail(work.slot(), error.clone());
            }
            return;
        }
        self.schedule.advance(step);
        for (at, input) in inputs.iter().enumerate().filter(|(_, input)| input.sampled) {
            self.sample(input.slot, at);
        }
        let generated = step.iter().filter(|work| matches!(work, Work::Next { .. })).count();
        if generated > 0 {
            self.shared.gauges.tokens_per_second.add(generated as f64 / began.elapsed().as_secs_f64());
        }
    }

    fn inputs(&self, work: &Work) -> Vec<Input> {
        let slot = work.slot();
        let Some(sequence) = &self.sequences[slot] else { return Vec::new() };
        match work {
            Work::Prompt { range, last, .. } => range
                .clone()
                .map(|position| {
                    let sampled = *last && position + 1 == range.end;
                    Input { token: sequence.prompt[position], position, slot, sampled }
                })
                .collect(),
            Work::Next { .. } => {
                let position = sequence.prompt.len() + sequence.generated - 1;
                vec![Input { token: sequence.last, position, slot, sampled: true }]
            }
        }
    }

    fn sample(&mut self, slot: usize, input: usize) {
        let Some(sequence) = &mut self.sequences[slot] else { return };
        let token = self.model.sample(&mut sequence.sampler, input);
        if sequence.generated == 0 {
            self.shared.gauges.ttft_ms.add(sequence.arrived.elapsed().as_secs_f64() * 1000.0);
        }
        if self.model.is_end(token) {
            return self.finish(slot, FinishReason::Stop);
        }
        sequence.last = token;
        sequence.generated += 1;
        let mut bytes = Vec::new();
        self.model.write(token, &mut bytes);
        let release = sequence.text.push(&bytes);
        send_text(&sequence.replies, release.text);
        if release.stopped {
            self.finish(slot, FinishReason::Stop);
        } else if sequence.generated == sequence.cap {
            self.finish(slot, FinishReason::Length);
        }
    }

    fn finish(&mut self, slot: usize, reason: FinishReason) {
        let Some(sequence) = &mut self.sequences[slot] else { return };
        send_text(&sequence.replies, std::mem::take(&mut sequence.text).finish());
        send(&sequence.replies, Ok(Delta::Finish { index: 0, reason }));
        let usage = Usage { input: sequence.prompt.len() as u64, output: sequence.generated as u64, cached_input: 0 };
        send(&sequence.replies, Ok(Delta::Usage(usage)));
        self.shared.gauges.job_ms.add(sequence.admitted.elapsed().as_secs_f64() * 1000.0);
        self.release(slot);
    }

    fn fail(&mut self, slot: usize, error: EngineError) {
        if let Some(sequence) = &self.sequences[slot] {
            send(&sequence.replies, Err(error));
        }
        self.release(slot);
    }

    fn release(&mut self, slot: usize) {
        self.model.clear(slot);
        self.schedule.release(slot);
        self.sequences[slot] = None;
        self.note_busy();
    }

    fn note_busy(&self) {
        self.shared.gauges.busy_slots.store(self.schedule.busy(), Relaxed);
    }

    fn stop(&mut self) {
        for slot in 0..self.sequences.len() {
            self.fail(slot, EngineError::Stopped);
        }
    }
}

impl<S> Sequence<S> {
    /// Whether the reader can take whatever the next token brings.
    fn has_room(&self) -> bool {
        self.replies.capacity() >= RESERVE
    }
}

fn send_text(replies: &mpsc::Sender<Reply>, text: String) {
    if !text.is_empty() {
        send(replies, Ok(Delta::Text { index: 0, text: Text::new(text) }));
    }
}

/// There is room for it (see [`RESERVE`]): this fails only for a reader that has left, who is noticed next step.
fn send(replies: &mpsc::Sender<Reply>, reply: Reply) {
    let _ = replies.try_send(reply);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc as std_mpsc;
    use std::time::{Duration, Instant};

    use futures_util::StreamExt;

    use super::super::engine::Engine;
    use super::super::model::{Input, Model, Token};
    use super::super::schedule::Limits;
    use super::super::{EngineError, EngineState, Generation, Job};
    use super::run;
    use crate::chat::reply::{Delta, FinishReason, Usage};
    use crate::chat::request::{ChatRequest, Content, Message, Sampling};

    const SLOTS: usize = 2;
    const QUEUE: usize = 2;
    const END: Token = 0;

    /// A model whose prompt is the user's bytes and whose answer is the prompt again, byte by byte, over and over;
    /// `!` ends it. Steps wait for a permit of the test, so that tests decide what happens between them.
    struct Echo {
        permits: std_mpsc::Receiver<()>,
        prompts: Vec<Vec<Token>>,
        outputs: Vec<Token>,
    }

    impl Model for Echo {
        type Sampler = ();

        fn context(&self) -> usize {
            64
        }

        fn prompt(&self, request: &ChatRequest) -> Result<Vec<Token>, EngineError> {
            Ok(request.messages.iter().flat_map(|m| m.text().into_bytes()).map(Token::from).collect())
        }

        fn sampler(&self, _: &Sampling, _: usize) {}

        fn decode(&mut self, inputs: &[Input]) -> Result<(), EngineError> {
            // A test that has dropped its end lets the model run freely.
            let _ = self.permits.recv();
            self.outputs.clear();
            for input in inputs {
                let seen = &mut self.prompts[input.slot];
                assert_eq!(seen.len(), input.position, "positions of a slot follow each other from 0");
                seen.push(input.token);
                if input.token == Token::from(b'#') {
                    return Err(EngineError::Decode("scripted".to_owned()));
                }
                self.outputs.push(seen[seen.len() / 2]);
            }
            Ok(())
        }

        fn sample(&mut self, (): &mut (), input: usize) -> Token {
            if self.outputs[input] == Token::from(b'!') { END } else { Token::from(b'x') }
        }

        fn is_end(&self, token: Token) -> bool {
            token == END
        }

        fn write(&self, token: Token, bytes: &mut Vec<u8>) {
            bytes.extend(u8::try_from(token));
        }

        fn clear(&mut self, slot: usize) {
            self.prompts[slot].clear();
        }
    }

    fn engine() -> (Engine, std_mpsc::Sender<()>) {
        let (permit, permits) = std_mpsc::channel();
        (start(permits, QUEUE), permit)
    }

    fn start(permits: std_mpsc::Receiver<()>, queue: usize) -> Engine {
        let limits = Limits { piece: 4, budget: 8 };
        Engine::start(SLOTS, queue, "echo".to_owned(), move |shared| {
            run(Echo { permits, prompts: vec![Vec::new(); SLOTS], outputs: Vec::new() }, shared, SLOTS, limits);
            Ok(())
        })
    }

    fn job(text: &str, max_output: u32) -> Job {
        let message = Message { content: vec![Content::Text(text.into())], ..Message::default() };
        let request = Arc::new(ChatRequest { messages: vec![message], ..ChatRequest::default() });
        Job { request, max_output, deadline: Instant::now() + Duration::from_secs(60) }
    }

    async fn collect(generation: Generation) -> (String, Option<FinishReason>, Option<Usage>, Option<EngineError>) {
        let mut all = (String::new(), None, None, None);
        for reply in generation.collect::<Vec<_>>().await {
            match reply {
                Ok(Delta::Text { text, .. }) => all.0.push_str(text.expose()),
                Ok(Delta::Finish { reason, .. }) => all.1 = Some(reason),
                Ok(Delta::Usage(usage)) => all.2 = Some(usage),
                Err(error) => all.3 = Some(error),
            }
        }
        all
    }

    /// Waits until the engine's thread has brought about what `holds` looks for.
    async fn until(engine: &Engine, holds: impl Fn(&Engine) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds(engine) {
            assert!(Instant::now() < deadline, "{:?}", engine.facts());
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn an_answer_is_text_then_finish_then_usage() {
        let (engine, permit) = engine();
        drop(permit);
        let (text, finish, usage, error) = collect(engine.generate(job("abcdefghi", 3)).unwrap()).await;
        assert_eq!((text.as_str(), finish, error), ("xxx", Some(FinishReason::Length), None));
        assert_eq!(usage, Some(Usage { input: 9, output: 3, cached_input: 0 }));
        until(&engine, |e| e.facts().free_slots == SLOTS).await;
    }

    #[tokio::test]
    async fn the_end_token_stops_and_does_not_count() {
        let (engine, permit) = engine();
        drop(permit);
        let (text, finish, usage, _) = collect(engine.generate(job("!", 9)).unwrap()).await;
        assert_eq!((text.as_str(), finish), ("", Some(FinishReason::Stop)));
        assert_eq!(usage.map(|u| u.output), Some(0));
    }

    #[tokio::test]
    async fn the_end_of_the_context_is_a_length_finish() {
        let (engine, permit) = engine();
        drop(permit);
        let (_, finish, usage, _) = collect(engine.generate(job(&"a".repeat(60), 100)).unwrap()).await;
        assert_eq!((finish, usage.map(|u| u.output)), (Some(FinishReason::Length), Some(4)));
    }

    #[tokio::test]
    async fn a_prompt_that_leaves_no_room_is_refused_with_its_size() {
        let (engine, permit) = engine();
        drop(permit);
        let (_, _, _, error) = collect(engine.generate(job(&"a".repeat(64), 1)).unwrap()).await;
        assert_eq!(error, Some(EngineError::PromptTooLong { tokens: 64, limit: 63 }));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_takes_again_when_a_waiting_reader_leaves() {
        let (engine, permit) = engine();
        let _running: Vec<_> = (0..SLOTS).map(|_| engine.generate(job("abc", 50)).unwrap()).collect();
        // The first step may have begun with the first job alone; before the second step the other is admitted.
        permit.send(()).unwrap();
        until(&engine, |e| e.facts().free_slots == 0).await;
        let mut waiting: Vec<_> = (0..QUEUE).map(|_| engine.generate(job("abc", 1)).unwrap()).collect();
        assert!(matches!(engine.generate(job("abc", 1)), Err(EngineError::QueueFull { .. })));
        assert_eq!(engine.facts().queue, QUEUE);
        drop(waiting.pop());
        assert!(engine.generate(job("abc", 1)).is_ok());
        drop(permit);
    }

    #[tokio::test]
    async fn a_reader_that_leaves_frees_its_slot_before_the_next_step() {
        let (engine, permit) = engine();
        let generation = engine.generate(job("abc", 50)).unwrap();
        until(&engine, |e| e.facts().free_slots == SLOTS - 1).await;
        drop(generation);
        // The step that was under way ends; the slot must be free without another.
        permit.send(()).unwrap();
        until(&engine, |e| e.facts().free_slots == SLOTS).await;
    }

    #[tokio::test]
    async fn a_slow_reader_pauses_its_own_sequence_only() {
        let (engine, permit) = engine();
        drop(permit);
        let slow = engine.generate(job("a", 60)).unwrap();
        let (text, ..) = collect(engine.generate(job("a", 60)).unwrap()).await;
        assert_eq!(text.len(), 60);
        until(&engine, |e| e.facts().free_slots == SLOTS - 1).await;
        let (text, finish, ..) = collect(slow).await;
        assert_eq!((text.len(), finish), (60, Some(FinishReason::Length)));
    }

    #[tokio::test]
    async fn a_deadline_ends_jobs_that_wait_and_jobs_that_generate() {
        let (engine, permit) = engine();
        let late = |text| Job { deadline: Instant::now() + Duration::from_millis(200), ..job(text, 50) };
        let jobs: Vec<_> = (0..SLOTS + 1).map(|_| engine.generate(late("abc")).unwrap()).collect();
        tokio::time::sleep(Duration::from_millis(210)).await;
        drop(permit);
        for generation in jobs {
            assert_eq!(collect(generation).await.3, Some(EngineError::Deadline));
        }
        until(&engine, |e| e.facts().free_slots == SLOTS).await;
    }

    #[tokio::test]
    async fn a_failed_step_ends_its_sequences_and_the_engine_goes_on() {
        let (engine, permit) = engine();
        drop(permit);
        let (.., error) = collect(engine.generate(job("a#", 5)).unwrap()).await;
        assert_eq!(error, Some(EngineError::Decode("scripted".to_owned())));
        let (text, ..) = collect(engine.generate(job("abc", 5)).unwrap()).await;
        assert_eq!(text, "xxxxx");
    }

    #[tokio::test]
    async fn shutdown_ends_what_waits_and_what_generates() {
        let (engine, permit) = engine();
        let jobs: Vec<_> = (0..SLOTS + 1).map(|_| engine.generate(job("abc", 50)).unwrap()).collect();
        engine.shutdown();
        drop(permit);
        for generation in jobs {
            assert_eq!(collect(generation).await.3, Some(EngineError::Stopped));
        }
        engine.stopped().await;
        assert_eq!(engine.facts().state, EngineState::Stopped);
        assert!(matches!(engine.generate(job("abc", 1)), Err(EngineError::Stopped)));
    }

    #[tokio::test]
    async fn without_a_queue_as_many_jobs_are_taken_as_there_are_free_sequences() {
        let (permit, permits) = std_mpsc::channel();
        let engine = start(permits, 0);
        let _running: Vec<_> = (0..SLOTS).map(|_| engine.generate(job("abc", 50)).unwrap()).collect();
        assert!(matches!(engine.generate(job("abc", 1)), Err(EngineError::QueueFull { .. })));
        drop(permit);
    }

    #[tokio::test]
    async fn whatever_readers_do_every_slot_and_every_place_comes_back() {
        let (engine, permit) = engine();
        drop(permit);
        // At most 30 tokens: answers that nobody reads must not wait for room while they hold the slots.
        for round in 0..40_u32 {
            let text = ["a", "!", "b#", "a prompt that takes several steps to be read"][round as usize % 4];
            let offered = (0..SLOTS as u32 + 2).map(|n| engine.generate(job(text, 1 + (round * 7 + n) % 30)));
            let mut taken: Vec<_> = offered.flatten().collect();
            for (n, generation) in taken.iter_mut().enumerate() {
                if n % 2 == 0 {
                    generation.next().await;
                }
            }
            if round % 3 == 0 {
                collect(taken.swap_remove(0)).await;
            }
        }
        until(&engine, |e| e.facts().free_slots == SLOTS && e.facts().queue == 0).await;
        assert_eq!(collect(engine.generate(job("abc", 5)).unwrap()).await.0, "xxxxx");
    }

    #[tokio::test]
    async fn a_panic_of_the_engine_leaves_nobody_waiting() {
        let engine = Engine::start(1, 1, "broken".to_owned(), |_| panic!("scripted"));
        engine.stopped().await;
        assert_eq!(engine.ready().await, Err(EngineError::Model("its thread panicked".to_owned())));
        assert!(matches!(engine.generate(job("abc", 1)), Err(EngineError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn several_choices_are_refused() {
        let (engine, _permit) = engine();
        let request =
            ChatRequest { sampling: Sampling { n: Some(2), ..Sampling::default() }, ..ChatRequest::default() };
        let job = Job { request: Arc::new(request), ..job("abc", 1) };
        assert!(matches!(engine.generate(job), Err(EngineError::Unsupported(_))));
    }
}
