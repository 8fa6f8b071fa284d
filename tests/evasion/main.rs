//! Whatever a checksum or a dictionary can recognise is recognised however it is written: every encoding, and every
//! encoding of an encoding. `AJAR_EVASION=long` tries them all.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

mod canaries;
mod encode;

use ajar::chat::{Part, Source};
use canaries::{Canary, Random, canaries, finds, scan, scanner};
use encode::{ALL, Encoder};

fn is_long() -> bool {
    std::env::var_os("AJAR_EVASION").is_some()
}

/// Where in a text the canary stands.
const CARRIERS: [(&str, &str); 4] = [
    ("", ""),
    ("Please look at this: ", ""),
    ("", "\nThat was it, thank you."),
    ("We were told that ", " would do.\n"),
];

/// Words for figures are for numbers, not for the figures of escapes; tag characters and ROT13 are for ASCII.
fn applies(encoder: &Encoder, text: &str) -> bool {
    if ["tag characters", "ROT13"].contains(&encoder.name) && !text.is_ascii() {
        return false;
    }
    let figures = text.chars().filter(char::is_ascii_digit).count();
    let code = text.contains('-') && text.contains(|c: char| c.is_ascii_lowercase());
    let number = !text.contains(['\\', '&']) && !code;
    !encoder.name.starts_with("spelled") || number && figures >= 6 && figures * 2 >= text.chars().count()
}

/// The cases that are missed, by the names of the encodings.
fn missed(canaries: &[Canary], outer: &[&Encoder], random: &mut Random, keep: usize) -> (usize, Vec<String>) {
    let scanner = scanner();
    let (mut tried, mut missed) = (0, Vec::new());
    for canary in canaries {
        for inner in ALL.iter().filter(|inner| applies(inner, &canary.text)) {
            let once = (inner.encode)(&canary.text);
            for outer in outer.iter().filter(|outer| applies(outer, &once)) {
                if random.below(keep) > 0 {
                    continue;
                }
                let (before, after) = CARRIERS[random.below(CARRIERS.len())];
                let text = format!("{before}{}{after}", (outer.encode)(&once));
                tried += 1;
                if !finds(&scan(&scanner, &text), canary.entity) {
                    missed.push(format!("{}: {} of {}: {text:?}", canary.entity, outer.name, inner.name));
                }
            }
        }
    }
    (tried, missed)
}

fn assert_none_missed((tried, missed): (usize, Vec<String>)) {
    let shown = &missed[..missed.len().min(20)];
    assert!(missed.is_empty(), "{} of {tried} missed:\n{}", missed.len(), shown.join("\n"));
}

#[test]
fn no_encoding_hides_an_identifier_or_a_name() {
    let mut random = Random(1);
    let canaries = canaries(if is_long() { 8 } else { 1 }, &mut random);
    let found = missed(&canaries, &[&ALL[0]], &mut random, 1);
    assert!(found.0 >= if is_long() { 12_000 } else { 1_500 }, "{}", found.0);
    assert_none_missed(found);
}

#[test]
fn no_encoding_of_an_encoding_hides_an_identifier_or_a_name() {
    let mut random = Random(2);
    let canaries = canaries(1, &mut random);
    let outer: Vec<&Encoder> = ALL.iter().skip(1).collect();
    let found = missed(&canaries, &outer, &mut random, if is_long() { 1 } else { 50 });
    assert!(found.0 >= if is_long() { 60_000 } else { 1_000 }, "{}", found.0);
    assert_none_missed(found);
}

#[test]
fn what_is_cut_over_parts_messages_or_turns_is_found() {
    let mut random = Random(3);
    let scanner = scanner();
    for canary in canaries(1, &mut random) {
        let letters: Vec<char> = canary.text.chars().collect();
        for cut in 1..letters.len() {
            let (head, tail): (String, String) = (letters[..cut].iter().collect(), letters[cut..].iter().collect());
            let part = |source, text: String| Part { source, text: text.into() };
            let cases = [
                vec![part(Source::User, format!("Here: {head}")), part(Source::User, format!("{tail}\nand so on"))],
                vec![
                    part(Source::User, head.clone()),
                    part(Source::Assistant, "Go on.".to_owned()),
                    part(Source::User, tail.clone()),
                ],
            ];
            for parts in cases {
                assert!(finds(&scanner.scan(&parts), canary.entity), "{} cut at {cut}", canary.text);
            }
        }
        if letters.contains(&' ') {
            continue;
        }
        let single = letters.iter().map(|c| Part { source: Source::User, text: c.to_string().into() });
        assert!(finds(&scanner.scan(&single.collect::<Vec<_>>()), canary.entity), "{} letter by letter", canary.text);
    }
}

/// What is private, or nearly, and has neither checksum nor dictionary.
fn forms(random: &mut Random) -> String {
    let mut characters = |alphabet: &[u8], n: usize| -> String {
        (0..n).map(|_| char::from(alphabet[random.below(alphabet.len())])).collect()
    };
    const ALNUM: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let key = characters(ALNUM, 36);
    let number = characters(b"23456789", 10);
    let forms = [
        format!("ghp_{key}"),
        format!("AKIA{}", characters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        format!("password: {}", &key[..9]),
        format!("api_key = \"{}\"", &key[..24]),
        format!("Authorization: Bearer {key}"),
        format!("https://user:{}@db.example.net/x", &key[..8]),
        format!("{}@example.com", &key[..6].to_lowercase()),
        format!("+1 {}-{}-{}", &number[..3], &number[3..6], &number[6..]),
        format!("call me at {number}"),
        format!("10.{}.{}.7", &number[..2], &number[2..4]),
        format!("00:1b:{}:{}:4f:5e", &number[..2], &number[2..4]),
    ];
    let at = random.below(forms.len());
    forms[at].clone()
}

/// How many pairs of texts are tried; `AJAR_MONOTONE` says another number.
fn pairs() -> usize {
    let usual = if is_long() { 10_000 } else { 2_000 };
    std::env::var("AJAR_MONOTONE").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn more_text_never_lowers_a_verdict() {
    const COUNT: usize = 4;
    // One test on several threads: each with pairs of its own.
    std::thread::scope(|scope| {
        for thread in 0..COUNT {
            scope.spawn(move || assert_monotone(4 + thread as u64, pairs().div_ceil(COUNT)));
        }
    });
}

fn assert_monotone(seed: u64, pairs: usize) {
    let mut random = Random(seed);
    let scanner = scanner();
    let canaries = canaries(1, &mut random);
    let mut found = 0;
    for _ in 0..pairs {
        let (mut x, mut y) = (some_text(&canaries, &mut random), some_text(&canaries, &mut random));
        if random.below(8) == 0 {
            // Something cut in two, of which each half may be something else.
            let token = &canaries[random.below(canaries.len())].text;
            let cut = token.floor_char_boundary(random.below(token.len()));
            (x, y) = (format!("{x} {}", &token[..cut]), format!("{} {y}", &token[cut..]));
        }
        let alone = [scan(&scanner, &x), scan(&scanner, &y)];
        let apart = [x.as_str(), y.as_str()].map(|text| Part { source: Source::User, text: text.into() });
        let between = ["\n\n", "\n\n---\n\n", "\r\n\r\n", "\n\n> "][random.below(4)];
        for together in [scan(&scanner, &format!("{x}{between}{y}")), scanner.scan(&apart)] {
            for (i, verdict) in together.results.iter().enumerate() {
                let possible = alone.iter().any(|scan| scan.results[i].truth.is_possible());
                found += usize::from(possible);
                assert!(!possible || verdict.truth.is_possible(), "detector {i}: {x:?} + {between:?} + {y:?}");
            }
        }
    }
    assert!(found > pairs, "most pairs hold something");
}

/// A few pieces: identifiers and names, as they are and encoded, what is nearly one, keys, prose and numbers.
fn some_text(canaries: &[Canary], random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(4) {
        let canary = &canaries[random.below(canaries.len())].text;
        let piece = match random.below(8) {
            0 | 1 => (ALL[random.below(ALL.len())].encode)(canary),
            2 => canary.clone(),
            3 => forms(random),
            4 => (ALL[random.below(ALL.len())].encode)(&forms(random)),
            5 => ["version", "git@", "1.5", "call", "see (", "x = \"", "00", "the committee met"][random.below(8)]
                .to_owned(),
            6 => canary.chars().take(1 + random.below(canary.chars().count())).collect(),
            _ => random.below(100_000).to_string(),
        };
        let separator = [" ", "\n", "\t", ", ", "; ", " | "][random.below(6)];
        text = format!("{text}{separator}{piece}");
    }
    text
}
