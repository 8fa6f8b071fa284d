//! What must hold for any bytes whatever. The fuzzer runs these functions over new inputs, and `tests/fuzz_corpus.rs`
//! over the committed ones.

#![allow(clippy::unwrap_used, reason = "a check that fails at an unwrap says where")]

#[path = "../../tests/support/mod.rs"]
pub mod support;

use ajar::chat::grammar;
use ajar::chat::{Delta, Json, Part, Reply};
use ajar::classify::Truth;
use ajar::dialect::edit::CapField;
use ajar::dialect::openai::read::{observe, observe_reply};
use ajar::dialect::responses::thread;
use ajar::dialect::sse::{SseFramer, Tail};
use ajar::dialect::{AnswerMeta, Decoded, Dialect, StreamEncoder, Target, Wire, faithful};
use ajar::govern::Price;
use ajar::policy::expr::{Context, Direction, check, check_for_destinations, parse};
use ajar::policy::vocabulary::{Fact, Facts, Vocabulary};
use ajar::policy::{PolicySet, Source, load};
use ajar::yaml::{Node, Shape};

use self::support::{Random, Request};

/// A policy file loads, or says why not; what loads decides, and unknown findings let nobody in.
pub fn policy_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sources = [Source { file: "fuzz.yaml".into(), text: text.into() }];
    match load(&sources, &|_| Some(Price::FREE)) {
        Ok(set) => decides(&set, data),
        Err(problems) => assert!(!problems.is_empty(), "refused without a reason"),
    }
}

fn decides(set: &PolicySet, data: &[u8]) {
    let mut random = Random::new(seed(data));
    for _ in 0..8 {
        let mut request = Request::random(set, &mut random);
        let known = request.decide(set);
        let in_plan = known.plan().iter().all(|candidate| known.permitted.contains(candidate.id));
        assert!(in_plan, "the plan asks somebody who is not permitted");
        for (finding, unknown) in set.slots.findings.iter().zip(&set.slots.unknowns) {
            request.facts.set(*finding, Fact::Unknown);
            request.facts.set(*unknown, Fact::Bool(true));
        }
        if let (Some(any), false) = (set.slots.unknown_any, set.detectors.is_empty()) {
            request.facts.set(any, Fact::Bool(true));
        }
        let blind = request.decide(set);
        assert_eq!(blind.permitted.and(known.permitted), blind.permitted, "failing detectors open a door");
        assert!(blind.class >= known.class, "failing detectors lower the class");
    }
}

/// A grammar is refused at a place that lies within it, or each of its rules leads to rules that are there.
pub fn grammar(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match grammar::read(text) {
        Ok(grammar) => assert!(grammar.root() < grammar.rules().len() && grammar.texts().len() <= text.len()),
        Err(error) => {
            let line = text.split('\n').nth(error.line - 1).expect("the line is there");
            assert!(error.column <= line.chars().count() + 1, "{error}");
        }
    }
}

/// An expression is refused at a place that lies within it, or has a value; what is certain while something is unknown
/// stays so, whatever becomes known.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ast = match parse(text) {
        Ok(ast) => ast,
        Err(error) => return assert!(text.is_char_boundary(error.at), "`{}` is nowhere", error.at),
    };
    assert!(text.get(ast.span.clone()).is_some(), "{:?} is not within the expression", ast.span);
    let set = vocabulary();
    let mut random = Random::new(seed(data));
    for direction in [Direction::Restricts, Direction::Widens, Direction::Chooses] {
        let context = Context {
            vocabulary: &set.vocabulary,
            classes: &set.classes,
            direction,
            class_known: true,
            client_facts: direction != Direction::Widens,
            destinations: &set.destinations,
        };
        let condition = check(&ast, &context);
        let by_destination = check_for_destinations(&ast, &context);
        for _ in 0..8 {
            let facts = Request::random(set, &mut random).facts;
            let blind = blinded(&facts, &set.vocabulary, &mut random);
            let class = random.below(set.classes.len()) as u8;
            if let Ok(condition) = &condition {
                refines(condition.eval(&blind, class), condition.eval(&facts, class));
            }
            if let Ok(condition) = &by_destination {
                for destination in 0..set.destinations.len() {
                    let value = |facts| condition.eval(destination, facts, class);
                    refines(value(&blind), value(&facts));
                }
                let (certain, possible) = (condition.certain(&facts, class), condition.possible(&facts, class));
                assert_eq!(certain.and(possible), certain, "certain and yet impossible");
            }
        }
    }
}

/// Kleene's order: what was certain stays.
fn refines(blind: Truth, known: Truth) {
    assert!(blind == Truth::Unknown || blind == known, "{blind:?} without the facts, {known:?} with them");
}

/// The same facts, of which some are not known.
fn blinded(facts: &Facts, vocabulary: &Vocabulary, random: &mut Random) -> Facts {
    let mut blind = facts.clone();
    for name in vocabulary.names().filter(|_| random.one_in(2)) {
        blind.set(vocabulary.slot(name).unwrap(), Fact::Unknown);
    }
    blind
}

/// The set whose names an expression may use: all kinds of facts and destinations.
fn vocabulary() -> &'static PolicySet {
    static SET: std::sync::OnceLock<PolicySet> = std::sync::OnceLock::new();
    SET.get_or_init(|| {
        let size = support::Size { rules: 10, destinations: 6, detectors: 3 };
        let text = support::random_policy(&mut Random::new(1), size);
        load(&[Source { file: "vocabulary.yaml".into(), text }], &|_| Some(Price::FREE)).unwrap()
    })
}

/// A document becomes a tree whose places lie within it and whose keys are unique, or is refused with a reason.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match ajar::yaml::parse("fuzz.yaml", text) {
        Ok(root) => well_formed(&root, text.chars().count() as u32),
        Err(problems) => assert!(!problems.is_empty(), "refused without a reason"),
    }
}

fn well_formed(node: &Node, chars: u32) {
    if let Some((line, column)) = node.place.at {
        assert!((1..=chars + 1).contains(&line) && (1..=chars + 1).contains(&column), "{} is nowhere", node.place);
    }
    match &node.shape {
        Shape::Null | Shape::Scalar { .. } => {}
        Shape::List(items) => items.iter().for_each(|item| well_formed(item, chars)),
        Shape::Map(entries) => {
            let keys: std::collections::BTreeSet<_> = entries.iter().map(|(key, _)| key.scalar().unwrap()).collect();
            assert_eq!(keys.len(), entries.len(), "a key stands twice");
            entries.iter().for_each(|(_, value)| well_formed(value, chars));
        }
    }
}

const WIRES: [Wire; 4] = [Wire::Chat, Wire::Messages, Wire::Responses, Wire::Gemini];

/// A body that we take is one that other readers take too; every value can be cut out and read again; a request that
/// is understood, in whatever dialect, can be scanned, and what is written of it in another says nothing else.
pub fn request_json(data: &[u8]) {
    let Ok(json) = Json::parse(data) else { return };
    assert!(serde_json::from_slice::<&serde_json::value::RawValue>(data).is_ok(), "another reader refuses it");
    each(&json, &mut |value| {
        let again = Json::parse(&data[value.span.clone()]).expect("a value read alone");
        assert!(value.same_value(&again), "the bytes of a value are not the value");
    });
    for dialect in Dialect::ALL {
        if let Ok(decoded) = dialect.decode(data, &json) {
            let bytes: usize = decoded.parts.iter().map(|Part { text, .. }| text.len()).sum();
            assert!(bytes <= 6 * data.len(), "parts grow beyond the body");
            assert!(
                decoded.edits.model.clone().is_none_or(|span| data.get(span).is_some()),
                "an edit outside the body"
            );
            let wires = WIRES.iter().filter(|wire| wire.can(dialect.task()));
            wires.for_each(|wire| translates(&decoded, *wire));
        }
    }
}

/// What a provider is told of a request that it may be given, is what was looked at.
fn translates(decoded: &Decoded<'_>, wire: Wire) {
    if !decoded.uses.missing_from(wire.expresses()).is_empty() {
        return;
    }
    let target = Target { model: "far-7b", max_output: 2048, cap_field: CapField::default(), stream_options: true };
    if let Ok(rendered) = wire.render(&decoded.request, &target) {
        let verified = faithful::verify(&rendered.body, &decoded.parts, wire.words(decoded.request.task), &target);
        let body = String::from_utf8(rendered.body).unwrap();
        assert!(verified.is_ok(), "{:?} to {wire:?} says what nobody said: {body}", decoded.dialect);
    }
}

/// A body of responses with what was said before, or is referred to, in it is one; what is kept of an answer can be read.
pub fn continued(data: &[u8]) {
    if let Some((_, items)) = thread::ended(data).and_then(thread::said) {
        let items = [b"[".as_slice(), &items, b"]"].concat();
        assert!(serde_json::from_slice::<serde_json::Value>(&items).is_ok(), "what is kept is no JSON");
    }
    let Ok(json) = Json::parse(data) else { return };
    let found = |id: &str| Ok::<_, std::convert::Infallible>((id.len() % 2 == 1).then(|| b"{\"a\":1}".to_vec()));
    let Ok(body) = thread::resolved(data, &json, found);
    let json = Json::parse(&body).expect("items stand where they were referred to");
    let own = thread::input(&body, &json).map(|_| json.get("input").and_then(Json::as_array).map_or(1, <[_]>::len));
    let whole = thread::continued(&body, &json, [b"{\"b\":2},{}".as_slice(), b""]);
    let whole = Json::parse(&whole).expect("what was said before comes into the body");
    if let Some(own) = own {
        let items = whole.get("input").and_then(Json::as_array).expect("what was said is a list");
        assert_eq!(items.len(), own + 2, "something got lost or was added");
    }
}

/// The values of a tree down to a depth at which reading each again stays cheap.
fn each(json: &Json<'_>, visit: &mut impl FnMut(&Json<'_>)) {
    visit(json);
    let members = json.as_object().unwrap_or_default().iter().map(|member| &member.value);
    members.chain(json.as_array().unwrap_or_default()).for_each(visit);
}

/// However a stream is cut in transit, the same frames come out, and together they are what came in.
pub fn sse(data: &[u8]) {
    let whole = frames(std::iter::once(data));
    let mut random = Random::new(seed(data));
    let mut rest = data;
    let pieces = std::iter::from_fn(|| {
        let (piece, after) = rest.split_at_checked(1 + random.below(7)).unwrap_or((rest, &[]));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(whole, frames(pieces), "the frames depend on how the stream was cut");
    assert_eq!(whole.concat(), data, "bytes got lost");
    for frame in &whole {
        observe(frame);
        observe_reply(frame);
    }
    for wire in WIRES {
        let mut reader = wire.reader();
        let mut deltas = Vec::new();
        for frame in &whole {
            if reader.event(frame, &mut deltas).is_err() {
                break;
            }
        }
        let texts = || Dialect::ALL.into_iter().filter(|dialect| dialect.task().generates());
        texts().for_each(|dialect| writes(dialect, &deltas));
        if let Some(deltas) = wire.read_reply(data) {
            texts().for_each(|dialect| writes(dialect, &deltas));
        }
    }
}

/// Whatever a provider says is written as events and as an answer that every reader takes.
fn writes(dialect: Dialect, deltas: &[Delta]) {
    let meta = AnswerMeta { id: "x", created: 1, model: "m", input_tokens: 3, request: None };
    let mut encoder = StreamEncoder::new(dialect, &meta, true);
    let mut out = bytes::BytesMut::new();
    let mut reply = Reply::default();
    for delta in deltas {
        encoder.delta(delta, &mut out);
        reply.add(delta.clone());
    }
    encoder.done(&mut out);
    let text = std::str::from_utf8(&out).unwrap();
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]") {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{dialect:?}: {line}");
    }
    let whole = dialect.encode_reply(&meta, &reply);
    assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok(), "{dialect:?}");
}

fn frames<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut framer = SseFramer::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        for frame in framer.by_ref() {
            frames.push(frame.expect("inputs are smaller than a frame may be").to_vec());
        }
    }
    match framer.finish() {
        Tail::Clean => {}
        Tail::Frame(bytes) | Tail::Partial(bytes) => frames.push(bytes.to_vec()),
    }
    frames
}

/// FNV-1a: the same input makes the same choices.
fn seed(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
