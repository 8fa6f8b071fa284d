//! Guesses change when tokens come, and nothing else.

use super::*;

/// An engine that guesses or does not, how many tokens it has computed and in how many steps.
fn guessing(forgets: bool) -> (Engine, Arc<AtomicUsize>) {
    let computed = Arc::<AtomicUsize>::default();
    let echo = Echo {
        permits: std_mpsc::channel().1,
        computed: computed.clone(),
        begun: Begun::default(),
        prompts: vec![Vec::new(); SLOTS],
        outputs: Vec::new(),
        adapter: 0,
        by: vec![0; SLOTS],
        forgets,
    };
    let shared = once("echo", move |shared| {
        run(echo, shared, SLOTS, Limits { piece: 4, step: 8, gap: 8, overhead: 1 }, PREFIX_CACHE);
        Ok(())
    });
    (Engine::of(shared, SLOTS, QUEUE, Vec::new()), computed)
}

async fn say(engine: &Engine, text: &str, max_output: u32) -> (String, Option<FinishReason>, Usage) {
    let (said, finish, usage, error) = collect(engine.generate(job(text, max_output)).unwrap()).await;
    assert_eq!(error, None);
    (said, finish, usage.unwrap())
}

#[tokio::test]
async fn answers_with_guesses_are_those_without_and_come_in_fewer_steps() {
    let (plain, guesses) = (guessing(false).0, guessing(true).0);
    // An answer of `x`, one that ends in the middle, and one that ends while its guesses go on.
    for (text, most) in [("abc", 40), ("abcdefg!hijk", 40), ("xxxxxxxxxxxx!xx", 40), ("xxxxxxxxxx.xx", 40), ("xxxx", 7)]
    {
        let (said, finish, usage) = say(&plain, text, most).await;
        let (again, ended, guessed) = say(&guesses, text, most).await;
        assert_eq!((&again, ended, guessed.output), (&said, finish, usage.output), "{text}");
    }
    assert_eq!(plain.facts().guessed, 0);
    let facts = guesses.facts();
    assert!(facts.guessed_right > 10 && facts.guessed_right <= facts.guessed, "{facts:?}");
}

#[tokio::test]
async fn what_was_guessed_wrong_is_forgotten_before_the_next_goes_on_behind_it() {
    let (engine, _) = guessing(true);
    // It ends while guesses behind the end are computed; a follow-up goes on behind what was said.
    let (said, ..) = say(&engine, "xxxxxxxxxxxx!xx", 40).await;
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
    let next = format!("xxxxxxxxxxxx!xx{said}yy");
    let (_, _, usage) = say(&engine, &next, 4).await;
    assert!(usage.cached_input >= 15, "{usage:?}");
}

#[tokio::test]
async fn an_answer_with_a_seed_is_not_guessed() {
    let (engine, _) = guessing(true);
    let sampling = Sampling { seed: Some(1), ..Sampling::default() };
    let plain = job("xxxxxxxx", 40);
    let seeded = Job { request: Arc::new(ChatRequest { sampling, ..(*plain.request).clone() }), ..plain };
    let (said, ..) = collect(engine.generate(seeded).unwrap()).await;
    assert_eq!((said.len(), engine.facts().guessed), (40, 0));
}

/// The usage of an answer to `text` that is predicted to be `prediction`.
async fn predicted(engine: &Engine, text: &str, prediction: &str, most: u32, sampling: Sampling) -> (String, Usage) {
    let plain = job(text, most);
    let prediction = Some(prediction.into());
    let request = Arc::new(ChatRequest { prediction, sampling, ..(*plain.request).clone() });
    let (said, _, usage, error) = collect(engine.generate(Job { request, ..plain }).unwrap()).await;
    assert_eq!(error, None);
    (said, usage.unwrap())
}

#[tokio::test]
async fn a_predicted_answer_is_the_same_and_says_how_much_of_the_prediction_was_right() {
    let (engine, _) = guessing(true);
    // Guessed is what follows the first token, where that is right; an `x` behind three others is then what the answer itself
    // repeats.
    for (prompt, prediction, accepted, rejected) in
        [("abcdefgh", "xxxxxxxx", 5, 0), ("hgfedcba", "nothing of it", 0, 0), ("bcdefgha", "xxxyyyyy", 2, 1)]
    {
        let (said, usage) = predicted(&engine, prompt, prediction, 20, Sampling::default()).await;
        assert_eq!((said, usage.output), ("x".repeat(20), 20));
        assert_eq!(usage.predicted, Some(Predicted { accepted, rejected }), "{prediction}");
    }
}

#[tokio::test]
async fn who_predicts_nothing_is_told_nothing_and_with_a_seed_nothing_is_guessed() {
    let (engine, _) = guessing(true);
    assert_eq!(say(&engine, "xxxxxxxx", 20).await.2.predicted, None);
    let seeded = Sampling { seed: Some(1), ..Sampling::default() };
    let (_, usage) = predicted(&engine, "abcdefgh", &"x".repeat(20), 20, seeded).await;
    assert_eq!(usage.predicted, Some(Predicted::default()));
}

#[tokio::test]
async fn guesses_behind_the_end_of_an_answer_are_rejected() {
    let (engine, _) = guessing(true);
    // Its middle is there after ten tokens.
    let (said, usage) = predicted(&engine, "abcdefghijk!", &"x".repeat(30), 40, Sampling::default()).await;
    let worth = usage.predicted.unwrap();
    assert_eq!(said, "x".repeat(10));
    assert!(worth.accepted < usage.output && worth.rejected > 0, "{worth:?} of {said}");
}
