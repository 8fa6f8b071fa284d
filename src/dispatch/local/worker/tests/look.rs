//! Looking at a prompt without an answer.

use super::*;

/// What it says of a prompt of so many tokens before `last`.
fn hidden(tokens: usize, last: u8) -> Vec<f32> {
    vec![tokens as f32, f32::from(last), 0.0]
}

#[tokio::test]
async fn a_look_computes_the_prompt_and_tells_of_its_last_token() {
    let (engine, computed) = running(PREFIX_CACHE);
    let look = engine.look(job("abcdefghi", 1)).await.unwrap();
    assert_eq!((look.hidden, computed.load(Relaxed)), (hidden(8, b'i'), 8));
    assert_eq!(look.first.logprob, -8.0);
    assert_eq!(engine.look(job("z", 1)).await.unwrap().hidden, hidden(0, b'z'));
    assert!(matches!(engine.look(job("", 1)).await, Err(EngineError::Unsupported(_))));
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
}

#[tokio::test]
async fn whoever_answers_after_a_look_computes_the_last_token_only_and_strangers_all() {
    let (engine, computed) = running(PREFIX_CACHE);
    let prompt = "a".repeat(40);
    engine.look(job(&prompt, 1)).await.unwrap();
    assert_eq!(kept(&engine, job(&prompt, 1)).await, 39);
    assert_eq!(computed.load(Relaxed), 40);
    // Of what is kept, one token must be computed again to go on from.
    engine.look(job(&prompt, 1)).await.unwrap();
    assert_eq!(computed.load(Relaxed), 41);
    let sharing = Sharing { tenant: "b".into(), class: "public".into() };
    engine.look(Job { sharing, ..job(&prompt, 1) }).await.unwrap();
    assert_eq!(computed.load(Relaxed), 41 + 39);
}

#[tokio::test]
async fn an_adapter_looks_for_itself() {
    let (engine, _) = running(PREFIX_CACHE);
    let adapted = engine.with_adapter("b").unwrap();
    for text in ["abcdef", "a"] {
        assert_eq!(adapted.look(job(text, 1)).await.unwrap().hidden[2], 2.0);
        assert_eq!(engine.look(job(text, 1)).await.unwrap().hidden[2], 0.0);
    }
}

#[tokio::test]
async fn looks_and_answers_go_on_beside_each_other() {
    let (engine, permit) = engine();
    let answer = engine.generate(job("abcdefgh", 20)).unwrap();
    let look = engine.look(job("ABCDEFGHIJKLM", 1));
    drop(permit);
    let ((text, ..), look) = tokio::join!(collect(answer), look);
    assert_eq!((text.len(), look.unwrap().hidden), (20, hidden(12, b'M')));
}

#[tokio::test]
async fn a_look_that_fails_is_told_and_the_engine_goes_on() {
    let (engine, permit) = engine();
    drop(permit);
    // In the last token, and before it.
    for text in ["abc#", "a#bcd"] {
        assert_eq!(engine.look(job(text, 1)).await, Err(EngineError::Decode("scripted".to_owned())));
    }
    let too_long = engine.look(job(&"a".repeat(64), 1)).await;
    assert_eq!(too_long, Err(EngineError::PromptTooLong { tokens: 64, limit: 63 }));
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
    assert_eq!(collect(engine.generate(job("abc", 5)).unwrap()).await.0, "xxxxx");
}

#[tokio::test]
async fn who_stops_looking_frees_the_slot_before_the_next_step() {
    let (engine, permit) = engine();
    let looking = tokio::spawn({
        let engine = engine.clone();
        async move { engine.look(job("abcdefghijklm", 1)).await }
    });
    until(&engine, |e| e.facts().free_slots == SLOTS - 1).await;
    looking.abort();
    let _ = looking.await;
    // The step that was under way ends; the slot must be free without another.
    permit.send(()).unwrap();
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
}

#[tokio::test]
async fn looks_wait_in_the_queue_which_is_bounded_until_their_deadline() {
    let (engine, permit) = engine();
    let late = |text| Job { deadline: Instant::now() + Duration::from_millis(200), ..job(text, 1) };
    let mut looks: Vec<_> = (0..SLOTS + QUEUE).map(|_| Box::pin(engine.look(late("abcdefgh")))).collect();
    for look in &mut looks {
        assert!(futures_util::poll!(look).is_pending());
    }
    assert!(matches!(engine.look(job("abc", 1)).await, Err(EngineError::QueueFull { .. })));
    tokio::time::sleep(Duration::from_millis(210)).await;
    drop(permit);
    for look in looks {
        assert_eq!(look.await, Err(EngineError::Deadline));
    }
    until(&engine, |e| e.facts().free_slots == SLOTS && e.facts().queue == 0).await;
}
