//! The step loop with a scripted model.

mod choices;
mod confidence;
mod faults;
mod guesses;
mod look;
pub(in crate::dispatch::local) mod stuck;
mod turns;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::run;
use crate::chat::reply::{Certainty, Confidence, Delta, FinishReason, LikelyToken, Predicted, TokenLogprob, Usage};
use crate::chat::request::{ChatRequest, Content, Message, Sampling};
use crate::chat::{Priority, Text};
use crate::dispatch::local::engine::Engine;
use crate::dispatch::local::life::Shared;
use crate::dispatch::local::life::tests::once;
use crate::dispatch::local::model::{Drawn, Input, Model, Prompt, Token};
use crate::dispatch::local::schedule::Limits;
use crate::dispatch::local::tools::Reading;
use crate::dispatch::local::{EngineError, EngineState, Generation, Job, Look, Notes, Sharing};

const SLOTS: usize = 2;
const QUEUE: usize = 2;
const PREFIX_CACHE: usize = 200;
const LIMITS: Limits = Limits { piece: 4, step: 8, gap: 8, overhead: 1 };

/// A model whose prompt is the user's bytes, and whose answer is `x` for each byte of the prompt again, from its middle;
/// but `!` ends it, `.` completes it, and after `?` nothing can follow. Steps wait for a permit of the test, so that tests decide what happens between them.
struct Echo {
    permits: std_mpsc::Receiver<()>,
    /// How many tokens it has computed.
    computed: Arc<AtomicUsize>,
    /// The prompts of all jobs that have begun.
    begun: Begun,
    prompts: Vec<Vec<Token>>,
    outputs: Vec<Token>,
    /// Which adapter computes; what each slot holds was computed by one.
    adapter: usize,
    by: Vec<usize>,
    forgets: bool,
}

/// Prompts in the order in which they began.
type Begun = Arc<Mutex<Vec<String>>>;

impl Model for Echo {
    type Sampler = ();
    type State = (Vec<Token>, usize);

    fn context(&self) -> usize {
        64
    }

    fn prompt(&self, request: &ChatRequest) -> Result<Prompt, EngineError> {
        let text: String = request.messages.iter().map(Message::text).collect();
        let tokens = text.bytes().map(Token::from).collect();
        self.begun.lock().unwrap().push(text);
        let prediction = request.prediction.as_ref().map_or("", Text::expose).bytes().map(Token::from).collect();
        Ok(Prompt { tokens, prediction, reading: Reading::default() })
    }

    fn sampler(&self, _: &ChatRequest, _: Reading, _: u32, _: usize) -> Result<(), EngineError> {
        Ok(())
    }

    fn adapt(&mut self, adapter: usize) {
        self.adapter = adapter;
    }

    fn decode(&mut self, inputs: &[Input]) -> Result<Duration, EngineError> {
        // A test that has dropped its end lets the model run freely.
        let _ = self.permits.recv();
        self.outputs.clear();
        self.computed.fetch_add(inputs.len(), Relaxed);
        for input in inputs {
            let seen = &mut self.prompts[input.slot];
            if seen.is_empty() {
                self.by[input.slot] = self.adapter;
            }
            assert_eq!(self.by[input.slot], self.adapter, "what one adapter computed no other goes on with");
            assert_eq!(seen.len(), input.position, "positions of a slot follow each other from 0");
            seen.push(input.token);
            if input.token == Token::from(b'#') {
                return Err(EngineError::Decode("scripted".to_owned()));
            }
            self.outputs.push(seen[seen.len() / 2]);
        }
        // However many tokens there were: guesses always pay.
        Ok(Duration::from_millis(1))
    }

    fn sample(&mut self, (): &mut (), input: usize) -> Result<Drawn, EngineError> {
        match u8::try_from(self.outputs[input]) {
            Ok(b'!') => Ok(Drawn::End),
            Ok(b'.') => Ok(Drawn::Last(Token::from(b'.'))),
            Ok(b'?') => Err(EngineError::Decode("scripted".to_owned())),
            _ => Ok(Drawn::Token(Token::from(b'x'))),
        }
    }

    fn begin_call(&self, (): &mut (), _: &str) {}

    fn likelihood(&self, _: usize, token: Token, _: usize) -> TokenLogprob {
        TokenLogprob { token: LikelyToken { bytes: vec![token as u8], logprob: -0.5 }, top: Vec::new() }
    }

    fn certainty(&self, _: usize, _: Token) -> Certainty {
        let computed = self.computed.load(Relaxed) as f64;
        Certainty { logprob: -computed, entropy: 2.0 * computed, margin: computed.recip() }
    }

    fn look(&mut self, slot: usize, tokens: usize, last: Token) -> Result<Look, EngineError> {
        assert!(tokens == 0 || self.prompts[slot].len() == tokens, "all but the last token is computed");
        if last == Token::from(b'#') {
            return Err(EngineError::Decode("scripted".to_owned()));
        }
        let hidden = vec![tokens as f32, last as f32, self.adapter as f32];
        Ok(Look { first: self.certainty(0, last), hidden })
    }

    fn write(&self, token: Token, _: Reading, bytes: &mut Vec<u8>) {
        bytes.extend(u8::try_from(token));
    }

    fn clear(&mut self, slot: usize) {
        self.prompts[slot].clear();
    }

    fn keep(&mut self, slot: usize, tokens: usize) -> bool {
        assert!(self.prompts[slot].len() >= tokens, "nobody keeps more than there is");
        self.prompts[slot].truncate(tokens);
        true
    }

    fn can_forget(&self) -> bool {
        self.forgets
    }

    fn saved_bytes(&self, slot: usize) -> usize {
        self.prompts[slot].len()
    }

    fn save(&self, slot: usize) -> Option<Self::State> {
        Some((self.prompts[slot].clone(), self.by[slot]))
    }

    fn restore(&mut self, slot: usize, (tokens, by): &Self::State) -> bool {
        self.prompts[slot].clone_from(tokens);
        self.by[slot] = *by;
        true
    }
}

fn engine() -> (Engine, std_mpsc::Sender<()>) {
    let (permit, permits) = std_mpsc::channel();
    (start(permits, QUEUE), permit)
}

fn start(permits: std_mpsc::Receiver<()>, queue: usize) -> Engine {
    counting(permits, queue, PREFIX_CACHE).0
}

/// An engine that may park so much, and how many tokens it has computed.
fn counting(permits: std_mpsc::Receiver<()>, queue: usize, prefix_cache: usize) -> (Engine, Arc<AtomicUsize>) {
    let (shared, computed, _) = scripted(permits, prefix_cache);
    (Engine::of(shared, SLOTS, queue, vec!["a".to_owned(), "b".to_owned()]), computed)
}

/// What the scripted model does, how many tokens it has computed, and which prompts have begun.
fn scripted(permits: std_mpsc::Receiver<()>, prefix_cache: usize) -> (Shared, Arc<AtomicUsize>, Begun) {
    let echo = echo(permits);
    let (computed, begun) = (echo.computed.clone(), echo.begun.clone());
    let shared = once("echo", move |shared| {
        run(echo, shared, SLOTS, LIMITS, prefix_cache);
        Ok(())
    });
    (shared, computed, begun)
}

fn echo(permits: std_mpsc::Receiver<()>) -> Echo {
    Echo {
        permits,
        computed: Arc::default(),
        begun: Begun::default(),
        prompts: vec![Vec::new(); SLOTS],
        outputs: Vec::new(),
        adapter: 0,
        by: vec![0; SLOTS],
        forgets: false,
    }
}

fn job(text: &str, max_output: u32) -> Job {
    let message = Message { content: vec![Content::Text(text.into())], ..Message::default() };
    let request = Arc::new(ChatRequest { messages: vec![message], ..ChatRequest::default() });
    let sharing = Sharing { tenant: "a".into(), class: "public".into() };
    Job {
        request,
        max_output,
        deadline: Instant::now() + Duration::from_secs(60),
        sharing,
        priority: Priority::default(),
    }
}

async fn collect(generation: Generation) -> (String, Option<FinishReason>, Option<Usage>, Option<EngineError>) {
    let mut all = (String::new(), None, None, None);
    for reply in generation.collect::<Vec<_>>().await {
        match reply {
            Ok(Delta::Text { text, .. }) => all.0.push_str(text.expose()),
            Ok(Delta::Finish { reason, .. }) => all.1 = Some(reason),
            Ok(Delta::Usage(usage)) => all.2 = Some(usage),
            Ok(other) => panic!("{other:?}"),
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
    assert_eq!(usage, Some(Usage { input: 9, output: 3, ..Usage::default() }));
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
async fn a_token_that_completes_the_answers_form_is_sent_and_ends_it() {
    let (engine, permit) = engine();
    drop(permit);
    let (text, finish, usage, _) = collect(engine.generate(job(".", 9)).unwrap()).await;
    assert_eq!((text.as_str(), finish, usage.map(|u| u.output)), (".", Some(FinishReason::Stop), Some(1)));
}

#[tokio::test]
async fn an_answer_that_nothing_can_follow_is_an_error_and_frees_its_slot() {
    let (engine, permit) = engine();
    drop(permit);
    let (.., error) = collect(engine.generate(job("?", 9)).unwrap()).await;
    assert_eq!(error, Some(EngineError::Decode("scripted".to_owned())));
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
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
    let engine = Engine::of(once("broken", |_| panic!("scripted")), 1, 1, Vec::new());
    engine.stopped().await;
    assert_eq!(engine.ready().await, Err(EngineError::Model("its thread panicked".to_owned())));
    assert!(matches!(engine.generate(job("abc", 1)), Err(EngineError::Unavailable { .. })));
}

/// An engine that runs freely and may park so much, and how many tokens it has computed.
fn running(prefix_cache: usize) -> (Engine, Arc<AtomicUsize>) {
    counting(std_mpsc::channel().1, QUEUE, prefix_cache)
}

/// How many prompt tokens of `job` came from what was kept.
async fn kept(engine: &Engine, job: Job) -> u64 {
    let usage = collect(engine.generate(job).unwrap()).await.2.expect("an answer ends with its usage");
    until(engine, |e| e.facts().free_slots == SLOTS).await;
    usage.cached_input
}

#[tokio::test]
async fn a_prompt_that_was_computed_is_computed_no_more_but_for_its_last_token() {
    let (engine, computed) = running(PREFIX_CACHE);
    let prompt = "a".repeat(40);
    assert_eq!(kept(&engine, job(&prompt, 1)).await, 0);
    assert_eq!(kept(&engine, job(&prompt, 1)).await, 39);
    assert_eq!(computed.load(Relaxed), 41);
}

#[tokio::test]
async fn a_conversation_goes_on_behind_its_last_answer() {
    let (engine, _) = running(PREFIX_CACHE);
    assert_eq!(kept(&engine, job("abcdefgh", 4)).await, 0);
    // The answer's last token was sampled and never computed.
    assert_eq!(kept(&engine, job("abcdefghxxxxij", 4)).await, 8 + 3);
}

#[tokio::test]
async fn tenants_and_classes_share_no_computation() {
    let (engine, computed) = running(PREFIX_CACHE);
    let prompt = "a".repeat(40);
    for (n, (tenant, class)) in [("a", "public"), ("b", "public"), ("a", "internal")].into_iter().enumerate() {
        let sharing = Sharing { tenant: tenant.into(), class: class.into() };
        assert_eq!(kept(&engine, Job { sharing, ..job(&prompt, 1) }).await, 0);
        assert_eq!(computed.load(Relaxed), 40 * (n + 1));
    }
}

#[tokio::test]
async fn adapters_share_no_computation_and_are_computed_apart() {
    let (engine, _) = running(PREFIX_CACHE);
    let adapted = ["a", "b"].map(|name| engine.with_adapter(name).unwrap());
    assert!(engine.with_adapter("c").is_none());
    let prompt = "a".repeat(30);
    for one in [&engine, &adapted[0], &adapted[1]] {
        assert_eq!(kept(one, job(&prompt, 1)).await, 0);
    }
    assert_eq!(kept(&adapted[1], job(&prompt, 1)).await, 29);
    let answers = [&engine, &adapted[0], &adapted[1]].map(|one| collect(one.generate(job(&prompt, 20)).unwrap()));
    for (text, ..) in futures_util::future::join_all(answers).await {
        assert_eq!(text.len(), 20);
    }
}

#[tokio::test]
async fn strangers_that_ask_the_same_at_once_compute_it_each() {
    let (permit, permits) = std_mpsc::channel();
    let (engine, computed) = counting(permits, QUEUE, PREFIX_CACHE);
    let prompt = "a".repeat(40);
    let sharing = Sharing { tenant: "b".into(), class: "public".into() };
    let mine = engine.generate(job(&prompt, 1)).unwrap();
    let theirs = engine.generate(Job { sharing, ..job(&prompt, 1) }).unwrap();
    drop(permit);
    tokio::join!(collect(mine), collect(theirs));
    assert_eq!(computed.load(Relaxed), 80);
}

#[tokio::test]
async fn prompts_that_begin_alike_and_come_at_once_compute_their_beginning_once() {
    let (permit, permits) = std_mpsc::channel();
    let (engine, computed) = counting(permits, QUEUE, PREFIX_CACHE);
    let first = engine.generate(job(&format!("{}bbbb", "a".repeat(40)), 1)).unwrap();
    let second = engine.generate(job(&format!("{}cccc", "a".repeat(40)), 1)).unwrap();
    drop(permit);
    let (first, second) = tokio::join!(collect(first), collect(second));
    assert_eq!((first.2.map(|u| u.cached_input), second.2.map(|u| u.cached_input)), (Some(0), Some(40)));
    assert_eq!(computed.load(Relaxed), 44 + 4);
}

#[tokio::test]
async fn one_that_waits_for_a_beginning_computes_it_itself_when_the_other_leaves() {
    let (permit, permits) = std_mpsc::channel();
    let (engine, _) = counting(permits, QUEUE, PREFIX_CACHE);
    let leader = engine.generate(job(&"a".repeat(40), 1)).unwrap();
    let follower = engine.generate(job(&"a".repeat(40), 3)).unwrap();
    permit.send(()).unwrap();
    until(&engine, |e| e.facts().free_slots == 0).await;
    drop(leader);
    drop(permit);
    let (text, finish, ..) = collect(follower).await;
    assert_eq!((text.as_str(), finish), ("xxx", Some(FinishReason::Length)));
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
}

#[tokio::test]
async fn what_a_slot_loses_is_parked_and_comes_back() {
    let (engine, _) = running(PREFIX_CACHE);
    // One more than there are slots.
    let prompts: Vec<String> = ["a", "b", "c"].iter().map(|letter| letter.repeat(40)).collect();
    for prompt in &prompts {
        assert_eq!(kept(&engine, job(prompt, 1)).await, 0);
    }
    for prompt in &prompts {
        assert_eq!(kept(&engine, job(prompt, 1)).await, 39);
    }
}

#[tokio::test]
async fn an_answer_that_must_come_out_the_same_again_uses_whole_pieces_only() {
    let (engine, _) = running(PREFIX_CACHE);
    let sampling = Sampling { seed: Some(1), ..Sampling::default() };
    let seeded = || {
        let plain = job(&"a".repeat(39), 4);
        Job { request: Arc::new(ChatRequest { sampling: sampling.clone(), ..(*plain.request).clone() }), ..plain }
    };
    assert_eq!((kept(&engine, seeded()).await, kept(&engine, seeded()).await), (0, 36));
}

#[tokio::test]
async fn without_a_prefix_cache_nothing_outlives_its_request() {
    let (engine, computed) = running(0);
    let prompt = "a".repeat(40);
    assert_eq!((kept(&engine, job(&prompt, 1)).await, kept(&engine, job(&prompt, 1)).await), (0, 0));
    assert_eq!(computed.load(Relaxed), 80);
}
