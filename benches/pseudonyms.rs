//! What pseudonyms cost a request of 4 KiB: replacing and looking again, and restoring its answer.

use std::hint::black_box;
use std::time::Duration;

use ajar::chat::Json;
use ajar::classify::{Scanner, Truth};
use ajar::dialect::Dialect;
use ajar::dialect::edit::Edits;
use ajar::dialect::openai::decode::decode;
use ajar::policy::facts::{RequestFacts, facts};
use ajar::policy::{Class, PolicySet, Source, Style, Transform, TransformSet, load};
use ajar::transform::answer::Restoring;
use ajar::transform::{Check, Disguise, Originals, Vaults};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;

const POLICY: &str = "ajar: policy/v1\nname: bench\nauthority: base\nclasses: [public, internal]\ndefault_class: public\n\
detectors:\n  contact: { kind: pattern, set: contact@1 }\n  secret: { kind: pattern, set: secrets@1 }\n  \
person: { kind: model, model: names@1 }\n\
classify:\n  - { id: contacts, raise: internal, when: finding.contact || finding.person }\n\
destinations:\n  home: { via: embedded, model: small, boundary: host }\n\
routes:\n  - { id: all, order: 1, candidates: [home] }\n";

const LETTER: &str = "Please write to Maria Gonzalez (maria.gonzalez@corp.com, +49 30 901820) and to Peter Lindqvist \
(peter@corp.com) about the delivery from 10.1.2.3. ";

const PROSE: &str = "The committee met on Tuesday to talk about the harvest, which had been poor for the third year. \
Some of the older members remembered a time when the river ran high until June; others said that memory is kind. ";

fn prompt() -> String {
    let mut text = LETTER.to_owned();
    while text.len() < 4096 {
        text.push_str(PROSE);
    }
    text.truncate(4096);
    text
}

fn set() -> PolicySet {
    load(&[Source { file: "bench.yaml".to_owned(), text: POLICY.to_owned() }], &|_| None).expect("the policy loads")
}

fn pseudonyms(c: &mut Criterion) {
    let set = set();
    let scanner = Scanner::new(&set.detectors);
    let body = json!({ "model": "auto", "messages": [{ "role": "user", "content": prompt() }] }).to_string();
    let json = Json::parse(body.as_bytes()).expect("it is JSON");
    let parts = decode(body.as_bytes(), &json).expect("it is a request").parts;
    let scan = scanner.scan(&parts);
    let mut originals = Originals::default();
    originals.add(&parts, &scan);
    let verdicts: Vec<Truth> = scan.results.iter().map(|result| result.truth).collect();
    let facts = facts(&set, &RequestFacts { findings: &verdicts, ..RequestFacts::default() }, &Default::default());
    let mut transforms = TransformSet::default();
    [Transform::Pseudonymize, Transform::RescanClean].into_iter().for_each(|transform| transforms.insert(transform));
    let labels = vec![Truth::False; set.detectors.len()];
    let vaults = Vaults::new(Duration::from_secs(3600)).expect("randomness");
    let edits = Edits { model: Some("gpt".to_owned()), max_tokens: Some(800), ..Edits::default() };
    let apply = |conversation: u64| {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&conversation.to_le_bytes());
        let vault = vaults.of(&name);
        let check = Check { set: &set, scanner: &scanner, facts: &facts, labels: &labels, to: Class(0) };
        let (style, scope, go_on) = (Style::Tag, "tenant", &|_: &Scanner| true);
        let disguise = Disguise {
            dialect: Dialect::Chat,
            transforms,
            vault: &vault,
            style,
            originals: &originals,
            checks: vec![check],
            scope,
            go_on,
        };
        disguise.apply(body.as_bytes(), &edits).expect("it can be made clean")
    };
    let mut number = 0;
    c.bench_function("replace_and_rescan_4_kib/first_turn", |b| {
        b.iter(|| {
            number += 1;
            black_box(apply(number))
        });
    });
    c.bench_function("replace_and_rescan_4_kib/later_turn", |b| b.iter(|| black_box(apply(0))));

    let outgoing = apply(0);
    let restorer = outgoing.restorer.expect("something was replaced");
    let sent = Json::parse(&outgoing.body).expect("it is JSON");
    let answer = sent.get("messages").and_then(|m| m.as_array()?[0].get("content")?.as_str()).expect("text").to_owned();
    let whole = Bytes::from(json!({ "choices": [{ "message": { "content": answer } }] }).to_string());
    c.bench_function("restore_4_kib/whole", |b| {
        b.iter(|| black_box(Restoring::new(restorer.clone(), false).whole(whole.clone())));
    });
    let letters: Vec<char> = answer.chars().collect();
    let chunk = |text: String| {
        let chunk =
            json!({ "id": "c", "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let events: Vec<Bytes> = letters.chunks(4).map(|piece| chunk(piece.iter().collect())).collect();
    c.bench_function("restore_4_kib/stream_of_1024_chunks", |b| {
        b.iter(|| {
            let mut restoring = Restoring::new(restorer.clone(), false);
            events.iter().for_each(|event| drop(black_box(restoring.event(event.clone()))));
            black_box(restoring.done())
        });
    });
}

criterion_group!(benches, pseudonyms);
criterion_main!(benches);
