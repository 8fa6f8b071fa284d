//! What is found for whom.

use proptest::prelude::*;

use super::{Origin, Place, Prefixes, WORTH, Wanted};
use crate::dispatch::local::Sharing;
use crate::dispatch::local::model::Token;

const PIECE: usize = 8;

fn sharing(tenant: &str, class: &str) -> Sharing {
    Sharing { tenant: tenant.into(), class: class.into() }
}

/// As many tokens, which depend on `text` and their place.
fn tokens(text: Token, count: usize) -> Vec<Token> {
    (0..count).map(|at| text * 1000 + at as Token).collect()
}

fn wanted<'a>(sharing: &'a Sharing, prompt: &'a [Token]) -> Wanted<'a> {
    Wanted { sharing, adapter: 0, prompt, exactly: false }
}

/// Computes `prompt` from nothing in `slot`, and lets it rest there.
fn fill(prefixes: &mut Prefixes<()>, slot: usize, sharing: &Sharing, prompt: &[Token]) {
    prefixes.begin(slot, wanted(sharing, prompt), None);
    prefixes.computed(slot, prompt.len());
    prefixes.rest(slot);
}

#[test]
fn the_longest_beginning_of_the_same_tenant_and_class_is_found_and_the_last_token_is_left_to_compute() {
    let mut prefixes = Prefixes::new(2, 1000, PIECE);
    let (mine, prompt) = (sharing("a", "public"), tokens(1, 50));
    fill(&mut prefixes, 0, &mine, &prompt[..20]);
    fill(&mut prefixes, 1, &mine, &prompt);
    let found = prefixes.origin(wanted(&mine, &prompt), |_| true);
    assert_eq!(found, Some(Origin { place: Place::Slot(1), tokens: 49 }));
    for other in [sharing("b", "public"), sharing("a", "internal")] {
        assert_eq!(prefixes.origin(wanted(&other, &prompt), |_| true), None);
    }
}

#[test]
fn what_must_not_depend_on_what_is_kept_uses_whole_pieces_of_prompts_only() {
    let mut prefixes = Prefixes::new(1, 1000, PIECE);
    let (mine, mut prompt) = (sharing("a", "public"), tokens(1, 20));
    fill(&mut prefixes, 0, &mine, &prompt);
    (0..20).for_each(|token| prefixes.generated(0, token));
    prompt.extend(0..30);
    let exactly = Wanted { exactly: true, ..wanted(&mine, &prompt) };
    let found = |wanted| prefixes.origin(wanted, |_| true).map(|origin| origin.tokens);
    assert_eq!((found(wanted(&mine, &prompt)), found(exactly)), (Some(40), Some(16)));
    // Begun in the middle of a piece: nothing behind that is cut as usual.
    let origin = prefixes.origin(wanted(&mine, &prompt), |_| true);
    prefixes.begin(0, wanted(&mine, &prompt), origin);
    prefixes.computed(0, prompt.len());
    assert_eq!(prefixes.origin(exactly, |_| true).map(|origin| origin.tokens), Some(16));
}

#[test]
fn a_slot_is_continued_in_place_unless_most_of_it_would_be_lost() {
    let mut prefixes = Prefixes::new(2, 1000, PIECE);
    let (mine, long) = (sharing("a", "public"), tokens(1, 100));
    fill(&mut prefixes, 0, &mine, &long);
    let next = prefixes.origin(wanted(&mine, &long[..80]), |_| true);
    assert_eq!((prefixes.choose(&[0, 1], next), prefixes.loses(0, next)), (0, false));
    let short = prefixes.origin(wanted(&mine, &long[..40]), |_| true);
    assert_eq!((prefixes.choose(&[0, 1], short), prefixes.loses(1, short)), (1, false));
    assert_eq!((prefixes.choose(&[0], short), prefixes.loses(0, short)), (0, true));
}

#[test]
fn a_copy_pays_where_it_is_shorter_than_computing_and_what_is_in_place_always_does() {
    let mut prefixes = Prefixes::new(2, 1000, PIECE);
    let (mine, long) = (sharing("a", "public"), tokens(1, 100 * WORTH));
    fill(&mut prefixes, 0, &mine, &long);
    let origin = |tokens| Origin { place: Place::Slot(0), tokens };
    assert!(prefixes.pays(0, origin(1)), "in place");
    assert!(!prefixes.pays(1, origin(WORTH)), "a hundred times as many are copied");
    assert!(prefixes.pays(1, origin(2 * WORTH)));
    fill(&mut prefixes, 0, &mine, &long[..WORTH]);
    assert_eq!([WORTH - 1, WORTH].map(|tokens| prefixes.pays(1, origin(tokens))), [false, true]);
}

#[test]
fn adapters_share_nothing_in_slots_nor_of_what_is_parked() {
    let mut prefixes = Prefixes::new(1, 1000, PIECE);
    let (mine, text) = (sharing("a", "public"), tokens(1, 80));
    fill(&mut prefixes, 0, &mine, &text);
    let other = Wanted { adapter: 1, ..wanted(&mine, &text) };
    assert_eq!((prefixes.origin(other, |_| true), prefixes.leader(other, |_| true)), (None, Some((0, 0))));
    prefixes.park(0, (), 30);
    prefixes.forget(0);
    assert_eq!(prefixes.origin(other, |_| true), None);
    assert!(prefixes.origin(wanted(&mine, &text), |_| true).is_some());
    // A copy of the same tokens by another adapter is no copy.
    prefixes.begin(0, other, None);
    prefixes.computed(0, 80);
    assert!(prefixes.loses(0, None));
}

#[test]
fn what_is_parked_stays_within_its_bytes_and_the_oldest_goes() {
    let mut prefixes = Prefixes::new(1, 100, PIECE);
    let mine = sharing("a", "public");
    for text in 1..=3 {
        fill(&mut prefixes, 0, &mine, &tokens(text, WORTH));
        assert!(prefixes.loses(0, None));
        prefixes.park(0, (), 40);
        assert!(!prefixes.loses(0, None), "a copy is parked");
    }
    prefixes.forget(0);
    let found = |text| prefixes.origin(wanted(&mine, &tokens(text, WORTH)), |_| true).is_some();
    assert_eq!([1, 2, 3].map(found), [false, true, true]);
    assert_eq!(prefixes.parked_bytes(), 80);
    fill(&mut prefixes, 0, &mine, &tokens(4, WORTH));
    prefixes.park(0, (), 101);
    assert_eq!(prefixes.parked_bytes(), 80, "what cannot fit pushes nobody out");
}

#[test]
fn a_longer_copy_of_the_same_conversation_replaces_the_shorter_one() {
    let mut prefixes = Prefixes::new(1, 100, PIECE);
    let (mine, long) = (sharing("a", "public"), tokens(1, 80));
    for length in [40, 80] {
        fill(&mut prefixes, 0, &mine, &long[..length]);
        prefixes.park(0, (), 30);
    }
    assert_eq!(prefixes.parked_bytes(), 30);
}

#[test]
fn one_that_computes_the_same_beginning_leads_and_a_stranger_does_not() {
    let mut prefixes: Prefixes<()> = Prefixes::new(2, 100, PIECE);
    let (mine, prompt) = (sharing("a", "public"), tokens(1, 80));
    prefixes.begin(1, wanted(&mine, &prompt), None);
    let mut other = prompt[..50].to_vec();
    other.extend([7; 10]);
    assert_eq!(prefixes.leader(wanted(&mine, &other), |slot| slot == 1), Some((1, 50)));
    assert_eq!(prefixes.leader(wanted(&mine, &other), |_| false), None);
    let strange = prefixes.leader(wanted(&sharing("b", "public"), &other), |_| true);
    assert!(strange.is_none_or(|(_, until)| until == 0));
}

#[test]
fn without_bytes_nothing_is_kept() {
    let mut prefixes = Prefixes::new(1, 0, PIECE);
    let (mine, prompt) = (sharing("a", "public"), tokens(1, 80));
    fill(&mut prefixes, 0, &mine, &prompt);
    assert!(!prefixes.keeps() && !prefixes.loses(0, None));
    assert_eq!(prefixes.origin(wanted(&mine, &prompt), |_| true), None);
}

/// A prompt of one of few texts, so that beginnings often agree, whoever sends it.
#[derive(Clone, Debug)]
struct Request {
    tenant: u8,
    class: u8,
    prompt: Vec<Token>,
    answer: usize,
    exactly: bool,
    /// Whether it comes before the one before has ended.
    overlaps: bool,
}

fn request() -> impl Strategy<Value = Request> {
    let prompt = (0..3_usize, 0..60_usize, prop::collection::vec(0..2 as Token, 1..6));
    let prompt = prompt.prop_map(|(text, shared, own)| [tokens(text as Token, shared), own].concat());
    (0..2_u8, 0..2_u8, prompt, 0..4_usize, any::<bool>(), any::<bool>()).prop_map(
        |(tenant, class, prompt, answer, exactly, overlaps)| Request {
            tenant,
            class,
            prompt,
            answer,
            exactly,
            overlaps,
        },
    )
}

/// What a slot really holds: whose, and which tokens.
type Memory = (Option<Sharing>, Vec<Token>);

proptest! {
    #[test]
    fn whatever_is_used_was_computed_for_the_same_tenant_and_class_and_is_the_same_text(
        requests in prop::collection::vec(request(), 1..60),
        budget in 1..400_usize,
    ) {
        let mut prefixes: Prefixes<Memory> = Prefixes::new(3, budget, PIECE);
        let mut slots: Vec<Memory> = vec![(None, Vec::new()); 3];
        let mut busy: Vec<usize> = Vec::new();
        for request in requests {
            let mine = sharing(&request.tenant.to_string(), &request.class.to_string());
            let wanted = Wanted { sharing: &mine, adapter: 0, prompt: &request.prompt, exactly: request.exactly };
            if !request.overlaps || busy.len() == 3 {
                busy.drain(..).for_each(|slot| prefixes.rest(slot));
            }
            let free: Vec<usize> = (0..3).filter(|slot| !busy.contains(slot)).collect();
            let origin = prefixes.origin(wanted, |slot| free.contains(&slot));
            let slot = prefixes.choose(&free, origin);
            if prefixes.loses(slot, origin) {
                prefixes.park(slot, slots[slot].clone(), slots[slot].1.len());
            }
            let origin = prefixes.origin(wanted, |slot| free.contains(&slot));
            let source = match origin.map(|origin| origin.place) {
                Some(Place::Slot(at)) => slots[at].clone(),
                Some(Place::Parked(index)) => prefixes.parked(index).unwrap().clone(),
                None => (None, Vec::new()),
            };
            let kept = origin.map_or(0, |origin| origin.tokens);
            prop_assert!(kept < request.prompt.len());
            if kept > 0 {
                prop_assert_eq!(source.0.as_ref(), Some(&mine));
                prop_assert_eq!(&source.1[..kept], &request.prompt[..kept]);
                prop_assert!(!request.exactly || kept.is_multiple_of(PIECE));
            }
            prefixes.begin(slot, wanted, origin);
            slots[slot] = (Some(mine.clone()), request.prompt.clone());
            prefixes.computed(slot, request.prompt.len());
            for token in 0..request.answer {
                slots[slot].1.push(token as Token);
                prefixes.generated(slot, token as Token);
            }
            busy.push(slot);
            prop_assert!(prefixes.parked_bytes() <= budget);
        }
    }
}
