//! Whatever fails, and whenever.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::dispatch::local::Turn;

/// The scripted model, where each thing that can fail does so now and then.
struct Faulty {
    echo: Echo,
    dice: Cell<u64>,
    /// Whether nothing fails any more.
    sound: Arc<AtomicBool>,
    /// By slot, whether what it holds is of no use, since a step failed or it could not be kept.
    spoilt: [bool; SLOTS],
    /// How many tokens are held for all slots.
    cells: Arc<AtomicUsize>,
}

impl Faulty {
    fn fails(&self, once_in: u64) -> bool {
        let next = self.dice.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice.set(next);
        (next >> 33).is_multiple_of(once_in) && !self.sound.load(Relaxed)
    }

    fn fail(&self, once_in: u64) -> Result<(), EngineError> {
        if self.fails(once_in) { Err(EngineError::Decode("scripted".to_owned())) } else { Ok(()) }
    }

    fn count(&self) {
        self.cells.store(self.echo.prompts.iter().map(Vec::len).sum(), Relaxed);
    }
}

impl Model for Faulty {
    type Sampler = ();
    type State = <Echo as Model>::State;

    fn context(&self) -> usize {
        self.echo.context()
    }

    fn prompt(&self, request: &ChatRequest) -> Result<Prompt, EngineError> {
        self.fail(25)?;
        self.echo.prompt(request)
    }

    fn sampler(&self, request: &ChatRequest, reading: Reading, choice: u32, cap: usize) -> Result<(), EngineError> {
        self.fail(25)?;
        self.echo.sampler(request, reading, choice, cap)
    }

    fn adapt(&mut self, adapter: usize) {
        self.echo.adapt(adapter);
    }

    fn decode(&mut self, inputs: &[Input]) -> Result<Duration, EngineError> {
        // It fails before, in the middle of, or behind what it computes.
        let fails = self.fails(12);
        let computes = if fails { self.dice.get() as usize % (inputs.len() + 1) } else { inputs.len() };
        for input in inputs {
            assert!(!self.spoilt[input.slot], "nobody goes on with what is of no use");
        }
        let computed = self.echo.decode(&inputs[..computes]);
        for input in inputs {
            self.spoilt[input.slot] = fails || computed.is_err();
        }
        self.count();
        if fails { Err(EngineError::Decode("scripted".to_owned())) } else { computed }
    }

    fn sample(&mut self, sampler: &mut (), input: usize) -> Result<Drawn, EngineError> {
        self.fail(25)?;
        self.echo.sample(sampler, input)
    }

    fn begin_call(&self, (): &mut (), _: &str) {}

    fn likelihood(&self, input: usize, token: Token, top: usize) -> TokenLogprob {
        self.echo.likelihood(input, token, top)
    }

    fn certainty(&self, input: usize, token: Token) -> Certainty {
        self.echo.certainty(input, token)
    }

    fn look(&mut self, slot: usize, tokens: usize, last: Token) -> Result<Look, EngineError> {
        self.fail(8)?;
        self.echo.look(slot, tokens, last)
    }

    fn write(&self, token: Token, reading: Reading, bytes: &mut Vec<u8>) {
        self.echo.write(token, reading, bytes);
    }

    fn clear(&mut self, slot: usize) {
        self.echo.clear(slot);
        self.spoilt[slot] = false;
        self.count();
    }

    fn keep(&mut self, slot: usize, tokens: usize) -> bool {
        // One that says that it can forget always does.
        let keeps = (self.can_forget() || !self.fails(3)) && self.echo.keep(slot, tokens);
        self.spoilt[slot] |= !keeps;
        self.count();
        keeps
    }

    fn can_forget(&self) -> bool {
        self.echo.can_forget()
    }

    fn saved_bytes(&self, slot: usize) -> usize {
        self.echo.saved_bytes(slot)
    }

    fn save(&self, slot: usize) -> Option<Self::State> {
        assert!(!self.spoilt[slot], "nobody saves what is of no use");
        if self.fails(4) { None } else { self.echo.save(slot) }
    }

    fn restore(&mut self, slot: usize, state: &Self::State) -> bool {
        let restored = !self.fails(4) && self.echo.restore(slot, state);
        self.spoilt[slot] = !restored;
        self.count();
        restored
    }
}

/// What somebody asks of the engine, and how long they listen.
#[derive(Clone, Debug)]
struct Guest {
    prompt: &'static str,
    max_output: u32,
    choices: u32,
    tenant: &'static str,
    /// `a` and `b` are adapters.
    model: &'static str,
    /// Milliseconds.
    deadline: u64,
    what: What,
    /// How many deltas they wait for; `None` is all.
    hears: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Answer,
    Look,
    Count,
}

fn guest() -> impl Strategy<Value = Guest> {
    let prompts = vec!["a", "!", ".", "?", "b#", "abcdefgh", "a prompt that takes several steps to be read"];
    let what = prop_oneof![6 => Just(What::Answer), 1 => Just(What::Look), 1 => Just(What::Count)];
    let asked = (select(prompts), 1..30_u32, 1..4_u32, select(vec!["x", "y"]), select(vec!["", "a", "b"]));
    let how = (select(vec![0, 2, 60_000, 60_000, 60_000]), what, proptest::option::of(0..6_usize));
    (asked, how).prop_map(|((prompt, max_output, choices, tenant, model), (deadline, what, hears))| Guest {
        prompt,
        max_output,
        choices,
        tenant,
        model,
        deadline,
        what,
        hears,
    })
}

impl Guest {
    fn job(&self) -> Job {
        let plain = job(self.prompt, self.max_output);
        let sampling = Sampling { n: Some(self.choices), ..Sampling::default() };
        let prediction = (self.choices == 1).then(|| Text::new("xxxxxx".to_owned()));
        let request = Arc::new(ChatRequest { sampling, prediction, ..(*plain.request).clone() });
        let sharing = Sharing { tenant: self.tenant.into(), class: "public".into() };
        Job { request, sharing, deadline: Instant::now() + Duration::from_millis(self.deadline), ..plain }
    }

    /// Asks, and listens to the end or leaves before it.
    async fn visit(self, engine: Engine) {
        let (engine, job) = (engine.with_adapter(self.model).unwrap_or(engine), self.job());
        match (self.what, self.hears) {
            (What::Answer, None) => {
                let Ok(generation) = engine.generate(job) else { return };
                let (.., usage, error) = collect(generation).await;
                assert!(usage.is_some() != error.is_some(), "an answer has one end: {usage:?}, {error:?}");
            }
            (What::Answer, Some(deltas)) => {
                let Ok(generation) = engine.generate(job) else { return };
                generation.take(deltas).collect::<Vec<_>>().await;
            }
            (What::Look, None) => drop(engine.look(job).await),
            (What::Look, Some(_)) => drop(tokio::time::timeout(Duration::from_millis(1), engine.look(job)).await),
            (What::Count, _) => {
                let turn = Turn { tenant: self.tenant.into(), priority: Priority::Normal };
                drop(engine.count(job.request, turn, job.deadline).await);
            }
        }
    }
}

/// Lets all of `guests` in at once, and looks what is left of them. How many tokens are still held.
async fn visited(guests: Vec<Guest>, seed: u64, prefix_cache: usize, forgets: bool) -> usize {
    let (sound, cells) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let echo = Echo { forgets, ..echo(std_mpsc::channel().1) };
    let model = (echo, sound.clone(), cells.clone());
    let shared = once("faulty", move |shared| {
        let (echo, sound, cells) = model;
        run(
            Faulty { echo, dice: Cell::new(seed), sound, spoilt: [false; SLOTS], cells },
            shared,
            SLOTS,
            LIMITS,
            prefix_cache,
        );
        Ok(())
    });
    let engine = Engine::of(shared, SLOTS, guests.len(), vec!["a".to_owned(), "b".to_owned()]);
    let all = join_all(guests.into_iter().map(|guest| guest.visit(engine.clone())));
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("everybody is told an end");
    until(&engine, |e| e.facts().free_slots == SLOTS && e.facts().queue == 0).await;
    sound.store(true, Relaxed);
    assert_eq!(collect(engine.generate(job("abc", 5)).unwrap()).await.0, "xxxxx");
    engine.shutdown();
    engine.stopped().await;
    assert_eq!(engine.facts().state, EngineState::Stopped);
    cells.load(Relaxed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_fails_everybody_is_told_an_end_and_every_slot_and_token_comes_back(
        guests in proptest::collection::vec(guest(), 1..24),
        seed: u64,
        keeps: bool,
        forgets: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cache = if keeps { PREFIX_CACHE } else { 0 };
        let held = runtime.block_on(visited(guests, seed, cache, forgets));
        prop_assert!(keeps || held == 0, "{held} tokens are held for nobody");
    }
}
