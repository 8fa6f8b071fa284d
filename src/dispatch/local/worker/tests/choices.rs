//! Several choices of one job.

use super::*;

/// As [`job`], to be answered `n` times.
fn several(n: u32, text: &str, max_output: u32) -> Job {
    let plain = job(text, max_output);
    let sampling = Sampling { n: Some(n), ..Sampling::default() };
    Job { request: Arc::new(ChatRequest { sampling, ..(*plain.request).clone() }), ..plain }
}

/// The texts and finishes by choice, the usage and the error.
type Collected = (Vec<(String, Option<FinishReason>)>, Option<Usage>, Option<EngineError>);

pub(super) async fn collect_all(n: usize, generation: Generation) -> Collected {
    let mut choices = vec![(String::new(), None); n];
    let (mut usage, mut error) = (None, None);
    for reply in generation.collect::<Vec<_>>().await {
        assert_eq!(usage, None, "nothing comes after the usage");
        match reply {
            Ok(Delta::Text { index, text, .. }) => choices[index as usize].0.push_str(text.expose()),
            Ok(Delta::Finish { index, reason }) => {
                assert_eq!(choices[index as usize].1.replace(reason), None, "a choice ends once");
            }
            Ok(Delta::Usage(counts)) => usage = Some(counts),
            Ok(other) => panic!("{other:?}"),
            Err(why) => error = Some(why),
        }
    }
    (choices, usage, error)
}

#[tokio::test]
async fn choices_share_one_computation_of_the_prompt_and_their_usage_comes_once_summed() {
    for prefix_cache in [0, PREFIX_CACHE] {
        let (engine, computed) = running(prefix_cache);
        let prompt = "a".repeat(40);
        let (choices, usage, error) = collect_all(2, engine.generate(several(2, &prompt, 3)).unwrap()).await;
        let whole = ("xxx".to_owned(), Some(FinishReason::Length));
        assert_eq!((choices, error), (vec![whole.clone(), whole], None));
        assert_eq!(usage, Some(Usage { input: 40, output: 6, ..Usage::default() }));
        assert_eq!(computed.load(Relaxed), 40 + 2 * 2);
        until(&engine, |e| e.facts().free_slots == SLOTS).await;
    }
}

#[tokio::test]
async fn more_choices_than_slots_take_turns() {
    let (engine, computed) = running(PREFIX_CACHE);
    let prompt = "a".repeat(40);
    let (choices, usage, _) = collect_all(5, engine.generate(several(5, &prompt, 3)).unwrap()).await;
    assert!(choices.iter().all(|choice| *choice == ("xxx".to_owned(), Some(FinishReason::Length))), "{choices:?}");
    assert_eq!(usage, Some(Usage { input: 40, output: 15, ..Usage::default() }));
    // Those that begin later together compute the prompt's last token again, together.
    assert_eq!(computed.load(Relaxed), 40 + 5 * 2 + 2);
    until(&engine, |e| e.facts().free_slots == SLOTS && e.facts().queue == 0).await;
}

#[tokio::test]
async fn choices_of_a_prompt_that_waits_for_anothers_beginning_still_compute_nothing_twice() {
    let (permit, permits) = std_mpsc::channel();
    let computed = Arc::<AtomicUsize>::default();
    let echo = Echo {
        permits,
        computed: computed.clone(),
        begun: Begun::default(),
        prompts: vec![Vec::new(); 4],
        outputs: Vec::new(),
        adapter: 0,
        by: vec![0; 4],
        forgets: false,
    };
    let limits = Limits { piece: 4, step: 8, gap: 8, overhead: 1 };
    let shared = once("echo", move |shared| {
        run(echo, shared, 4, limits, PREFIX_CACHE);
        Ok(())
    });
    let engine = Engine::of(shared, 4, QUEUE, Vec::new());
    let first = engine.generate(job(&format!("{}bbbb", "a".repeat(40)), 1)).unwrap();
    let second = engine.generate(several(3, &format!("{}cccc", "a".repeat(40)), 1)).unwrap();
    drop(permit);
    let (_, (choices, usage, _)) = tokio::join!(collect(first), collect_all(3, second));
    assert!(choices.iter().all(|(text, _)| text == "x"), "{choices:?}");
    assert_eq!(usage.map(|usage| usage.cached_input), Some(40));
    assert_eq!(computed.load(Relaxed), 44 + 4);
}

#[tokio::test]
async fn a_reader_that_leaves_or_a_step_that_fails_frees_the_slots_of_all_choices() {
    let (engine, permit) = engine();
    let mut leaver = engine.generate(several(5, "abc", 50)).unwrap();
    permit.send(()).unwrap();
    assert!(matches!(leaver.next().await, Some(Ok(Delta::Text { .. }))));
    assert_eq!(engine.facts().free_slots, 0);
    drop(leaver);
    drop(permit);
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
    let (choices, usage, error) = collect_all(5, engine.generate(several(5, "ab#", 50)).unwrap()).await;
    assert!(choices.iter().all(|(_, finish)| finish.is_none()));
    assert_eq!((usage, error), (None, Some(EngineError::Decode("scripted".to_owned()))));
    until(&engine, |e| e.facts().free_slots == SLOTS).await;
    assert_eq!(collect(engine.generate(job("abc", 5)).unwrap()).await.0, "xxxxx");
}

#[tokio::test]
async fn choices_that_nobody_reads_pause_and_nothing_of_them_is_lost() {
    let (engine, permit) = engine();
    drop(permit);
    let slow = engine.generate(several(5, "abc", 60)).unwrap();
    // Enough for the sequences to run into the bound of what may lie unread.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(engine.facts().free_slots, 0);
    let (choices, usage, _) = collect_all(5, slow).await;
    assert!(choices.iter().all(|(text, _)| text.len() == 60), "{choices:?}");
    assert_eq!(usage.map(|usage| usage.output), Some(300));
}

#[tokio::test]
async fn many_choices_let_whoever_holds_fewer_slots_pass() {
    let (engine, permit) = engine();
    let _many = engine.generate(several(6, "abc", 2)).unwrap();
    until(&engine, |e| e.facts().free_slots == 0).await;
    let sharing = Sharing { tenant: "b".into(), class: "public".into() };
    let other = engine.generate(Job { sharing, ..job("b", 1) }).unwrap();
    // Two choices in two steps, and one of the four that are left; then the other, which has waited for longer than the rest.
    (0..5).for_each(|_| permit.send(()).unwrap());
    assert_eq!(collect(other).await.0, "x");
}

#[tokio::test]
async fn a_choice_that_waits_alone_is_ended_at_its_deadline() {
    let (engine, permit) = engine();
    let late = Job { deadline: Instant::now() + Duration::from_millis(200), ..several(3, "abcd", 1) };
    let deadline = late.deadline;
    let late = engine.generate(late).unwrap();
    until(&engine, |e| e.facts().free_slots == 0).await;
    // What is more urgent takes the slots of the two that end with their first token.
    let urgent = || engine.generate(Job { priority: Priority::High, ..job("b", 40) }).unwrap();
    let (_one, _other) = (urgent(), urgent());
    permit.send(()).unwrap();
    tokio::time::sleep_until(deadline.into()).await;
    permit.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), collect_all(3, late)).await.expect("it ends");
    assert_eq!(ended.2, Some(EngineError::Deadline), "{ended:?}");
    drop(permit);
}
