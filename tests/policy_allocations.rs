//! Deciding allocates nothing, whatever is decided.

#![allow(unsafe_code, reason = "an allocator that counts is an allocator")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ajar::govern::Price;
use ajar::policy::{Outcome, Source, load};

use support::{Random, Request, Size, random_policy};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: everything is left to the system's allocator; counting touches only a cell that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes.
fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| Vec::<u8>::with_capacity(8)).1, 1);
    assert_eq!(allocations(|| [0u8; 64]).1, 0);
}

#[test]
fn two_hundred_rules_about_twenty_destinations_are_applied_without_an_allocation() {
    let (mut answered, mut refused) = (0, 0);
    for seed in 0..8 {
        let mut random = Random::new(seed);
        let size = Size { rules: 200, destinations: 20, detectors: 12 };
        let text = random_policy(&mut random, size);
        let set = load(&[Source { file: "random.yaml".into(), text }], &|_| Some(Price::FREE))
            .unwrap_or_else(|problems| panic!("seed {seed}: {problems}"));
        for _ in 0..2_500 {
            let request = Request::random(&set, &mut random);
            let (decision, made) = allocations(|| request.decide(&set));
            assert_eq!(made, 0, "seed {seed}: {:?}", decision.outcome);
            match decision.outcome {
                Outcome::Go(_) => answered += 1,
                Outcome::Refuse(_) => refused += 1,
            }
        }
    }
    assert!(answered > 1_000 && refused > 100, "{answered} answered, {refused} refused: too much alike");
}
