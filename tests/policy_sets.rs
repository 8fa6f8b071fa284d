//! The shipped policy sets load, and their own tests pass.
use ajar::govern::Price;
use ajar::policy::{Source, load};

#[test]
fn the_default_set_loads_and_passes_its_own_tests() {
    let text = std::fs::read_to_string("policies/default/policy.yaml").expect("the shipped policy");
    let sources = [Source { file: "policies/default/policy.yaml".into(), text }];
    let set = load(&sources, &|_| Price::from_usd_per_million(0.15, 0.60, None)).unwrap_or_else(|p| panic!("{p}"));
    assert!(set.cases.len() >= 10);
}
