//! Conversations beside each other, each with a secret of its own: none of them may turn up in another.

use std::time::Duration;

use ajar::chat::request::{ChatRequest, Role, Sampling};
use ajar::dispatch::local::Engine;
use futures_util::{StreamExt, stream};

use crate::support::Random;
use crate::{assert_all_is_free, engine, job, message, read, size};

/// How many conversations; `AJAR_CONVERSATIONS=500` for a thorough run.
const CONVERSATIONS: usize = 10;
/// How many of them are open at once: more than there are sequences.
const AT_ONCE: usize = 12;
const TENANTS: usize = 5;

#[derive(Default)]
struct Seen {
    answers: usize,
    cancelled: usize,
    /// Answers that say their own conversation's canary: that it could be said at all.
    own: usize,
    foreign: usize,
}

/// One or two turns; the model is asked for the code that it was told.
async fn converse(engine: &Engine, number: usize, canaries: &[String]) -> Seen {
    let mut random = Random::new(number as u64);
    let own = &canaries[number];
    let tenant = format!("tenant-{}", random.below(TENANTS));
    let mut messages = vec![
        message(Role::System, "You are a helpful assistant that repeats codes."),
        message(Role::User, &format!("My code is {own}. What is my code?")),
    ];
    let mut seen = Seen::default();
    for _turn in 0..=random.below(2) {
        let sampling = Sampling {
            temperature: Some(if random.one_in(2) { 0.0 } else { 0.7 }),
            n: random.one_in(8).then_some(2),
            ..Sampling::default()
        };
        let request = ChatRequest { messages: messages.clone(), sampling, ..ChatRequest::default() };
        let mut job = job(&tenant, request, 24);
        if random.one_in(10) {
            job.deadline = std::time::Instant::now() + Duration::from_millis(random.below(400) as u64);
        }
        let is_cancelled = random.one_in(4);
        let deltas = if is_cancelled { random.below(12) } else { usize::MAX };
        let (text, _) = read(engine.generate(job).unwrap(), deltas).await;
        seen.answers += 1;
        seen.cancelled += usize::from(is_cancelled);
        seen.own += usize::from(text.contains(own));
        seen.foreign += canaries.iter().filter(|&canary| canary != own && text.contains(canary)).count();
        messages.push(message(Role::Assistant, &text));
        messages.push(message(Role::User, "Say my code again."));
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn no_conversation_says_what_another_was_told_and_all_that_they_took_comes_back() {
    let conversations = size("AJAR_CONVERSATIONS", CONVERSATIONS);
    let mut random = Random::new(7);
    let canaries: Vec<String> =
        (0..conversations).map(|_| (10_000_000 + random.below(90_000_000)).to_string()).collect();
    // One that keeps nothing, one that keeps and parks.
    for prefix_cache in [0, 16 << 20] {
        let engine = engine(prefix_cache).await;
        let all = stream::iter(0..conversations).map(|number| converse(&engine, number, &canaries));
        let seen: Vec<Seen> = all.buffer_unordered(AT_ONCE).collect().await;
        let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
        let (answers, cancelled, own, foreign) =
            (sum(|s| s.answers), sum(|s| s.cancelled), sum(|s| s.own), sum(|s| s.foreign));
        println!(
            "prefix cache {prefix_cache}: {conversations} conversations, {answers} answers, {cancelled} cancelled, \
             {own} with their own canary, {foreign} foreign canaries"
        );
        assert_eq!(foreign, 0);
        assert!(own * 8 > answers, "a model that says no canary at all shows nothing");
        assert_all_is_free(&engine).await;
    }
}
