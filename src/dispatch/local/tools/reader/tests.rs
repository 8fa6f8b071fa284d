//! Answers read whole and in pieces.

mod channels;

use proptest::prelude::*;

use super::super::{ANGLED, SQUARE};
use super::*;
use crate::chat::request::Function;

fn reading(calls: Option<Protocol>) -> Reading {
    Reading { calls, thoughts: Some(ANGLED), is_thinking: false, begun: "" }
}

/// A function that takes a word, a number and anything.
fn signatures() -> Vec<Signature> {
    let schema = r#"{"properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "more": {}}}"#;
    let function = Function { name: "weather".to_owned(), parameters: Some(schema.into()), ..Function::default() };
    vec![Signature::of(&function)]
}

/// What is read of `text`, cut after the given bytes, with pieces of a kind joined.
fn read_cut(reading: Reading, text: &str, cuts: &[usize]) -> Vec<Piece> {
    let mut reader = Reader::new(reading, signatures());
    let mut pieces = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([text.len()]) {
        let cut = cut.max(at);
        if text.is_char_boundary(cut) {
            pieces.extend(reader.push(&text[at..cut]));
            at = cut;
        }
    }
    pieces.extend(reader.finish(false));
    join(pieces)
}

/// `pieces` with those of a kind joined.
fn join(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(more))
            | (Some(Piece::Thought(text)), Piece::Thought(more))
            | (Some(Piece::Arguments(text)), Piece::Arguments(more)) => text.push_str(&more),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// The same, and that it is the same character by character.
fn read(calls: Protocol, text: &str) -> Vec<Piece> {
    let cuts: Vec<usize> = (0..text.len()).collect();
    let whole = read_cut(reading(Some(calls)), text, &[]);
    assert_eq!(whole, read_cut(reading(Some(calls)), text, &cuts), "{text}");
    whole
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn call(name: &str, arguments: &str) -> [Piece; 2] {
    [Piece::Call(name.to_owned()), Piece::Arguments(arguments.to_owned())]
}

#[test]
fn calls_are_found_as_each_family_writes_them() {
    let [f, args] = call("weather", r#"{"city": "Ulm \"}\" <tool_call>", "days": [1, {"a": 2}]}"#);
    let arguments = r#"{"city": "Ulm \"}\" <tool_call>", "days": [1, {"a": 2}]}"#;
    for (family, written) in [
        (Protocol::Hermes, format!("<tool_call>\n{{\"name\": \"weather\", \"arguments\": {arguments}}}\n</tool_call>")),
        (Protocol::Hermes, format!("\n<tool_call>{{\"name\":\"weather\",\"arguments\":{arguments}}}</tool_call>\n")),
        (Protocol::Own, format!("<tool_call> {{ \"name\" : \"weather\", \"parameters\" : {arguments} }}")),
        (Protocol::Llama, format!("{{\"name\": \"weather\", \"parameters\": {arguments}}}")),
        (Protocol::Llama, format!(" <|python_tag|>{{\"name\": \"weather\", \"parameters\": {arguments}}}")),
        (Protocol::Mistral, format!("[TOOL_CALLS][{{\"name\": \"weather\", \"arguments\": {arguments}}}]")),
        (
            Protocol::Mistral,
            format!("[TOOL_CALLS] [{{\"name\": \"weather\", \"arguments\": {arguments}, \"id\": \"abcdefghi\"}}]"),
        ),
        (Protocol::MistralNamed { ids: false }, format!("[TOOL_CALLS]weather[ARGS]{arguments}")),
        (Protocol::MistralNamed { ids: true }, format!("[TOOL_CALLS]weather[CALL_ID]abcdefghi[ARGS] {arguments}")),
    ] {
        assert_eq!(read(family, &written), [f.clone(), args.clone()], "{family:?}: {written}");
    }
}

#[test]
fn several_calls_and_text_around_them_keep_their_order() {
    let one = r#"<tool_call>{"name": "a", "arguments": {}}</tool_call>"#;
    let two = r#"<tool_call>{"arguments": {"x": 1}, "name": "b"}</tool_call>"#;
    let read_all = read(Protocol::Hermes, &format!("I look. \n{one}\n{two}\nDone."));
    let [a, none] = call("a", "{}");
    let [b, x] = call("b", r#"{"x":1}"#);
    assert_eq!(read_all, [text("I look."), a.clone(), none.clone(), b, x, text("Done.")]);
    let list = r#"[TOOL_CALLS][{"name": "a", "arguments": {}}, {"name": "a", "arguments": {}}]"#;
    assert_eq!(read(Protocol::Mistral, list), [a.clone(), none.clone(), a.clone(), none.clone()]);
    let list = "[TOOL_CALLS]a[ARGS]{}[TOOL_CALLS]a[ARGS]{}";
    let named = Protocol::MistralNamed { ids: false };
    assert_eq!(read(named, list), [a.clone(), none.clone(), a.clone(), none.clone()]);
    let list = r#"{"name": "a", "parameters": {}}; {"name": "a", "parameters": {}}"#;
    assert_eq!(read(Protocol::Llama, list), [a.clone(), none.clone(), a, none]);
}

#[test]
fn parameters_that_are_written_one_by_one_become_json() {
    let written = "I look.\n<tool_call>\n<function=weather>\n<parameter=city>\nUlm \"</parameter>\n\n</parameter>\n\
                   <parameter=days>\n3\n</parameter>\n<parameter=more>\n[1, {}]\n</parameter>\n<parameter=other>\n7\n</parameter>\n\
                   </function>\n</tool_call>\n<tool_call>\n<function=stop>\n</function>\n</tool_call>";
    let [weather, told] =
        call("weather", r#"{"city": "Ulm \"</parameter>\n", "days": 3, "more": [1, {}], "other": "7"}"#);
    let [stop, none] = call("stop", "{}");
    assert_eq!(read(Protocol::Coder, written), [text("I look."), weather, told, stop, none]);
}

#[test]
fn a_long_word_is_told_as_it_comes() {
    let mut reader = Reader::new(reading(Some(Protocol::Coder)), signatures());
    reader.push("<tool_call>\n<function=weather>\n<parameter=city>\n");
    assert_eq!(reader.push("Ulm\n</para"), [Piece::Arguments("Ulm".to_owned())]);
    assert_eq!(reader.push("graph>\t"), [Piece::Arguments("\\n</paragraph>\\t".to_owned())]);
}

#[test]
fn what_is_no_call_is_text() {
    for plain in ["2 < 3, and <tool is no marker", "{\"answer\": 42}", "  a\n\n", "<tool_call", "[1, 2]"] {
        for family in [Protocol::Hermes, Protocol::Llama, Protocol::Mistral] {
            assert_eq!(read(family, plain), [text(plain)], "{family:?}");
        }
    }
    let odd = "<tool_call>hello</tool_call>";
    assert_eq!(read(Protocol::Hermes, odd), [text(odd)]);
    // Without tools, a call is a text like any other.
    let written = r#"<tool_call>{"name": "a", "arguments": {}}</tool_call>"#;
    assert_eq!(read_cut(reading(None), written, &[3, 9]), [text(written)]);
}

#[test]
fn an_answer_that_is_cut_in_a_call_says_what_came_of_it() {
    let [a, begun] = call("a", r#"{"x": "y"#);
    assert_eq!(read(Protocol::Hermes, r#"<tool_call>{"name": "a", "arguments": {"x": "y"#), [a, begun]);
}

#[test]
fn an_answer_that_is_cut_shows_no_marker_and_nothing_of_a_call_that_is_not_named_yet() {
    let named = Protocol::MistralNamed { ids: false };
    for (family, marked, json) in [
        (Protocol::Hermes, "<tool_call>\n{\"name\": \"weather\", \"arguments\": ", ""),
        (Protocol::Hermes, "<tool_call>{\"arguments\": {\"x\": 1}, \"na", ""),
        (Protocol::Own, "<tool_call>\n{\"na", ""),
        (Protocol::Mistral, "[TOOL_CALLS][{\"name\": \"weather\"", ""),
        (named, "[TOOL_CALLS]weather[AR", ""),
        (Protocol::Coder, "<tool_call>\n<function=weather", ""),
        (Protocol::Llama, "<|python_tag|>{\"name\": \"wea", "{\"name"),
    ] {
        for at in (2..marked.len()).filter(|at| marked.is_char_boundary(*at)) {
            let mut reader = Reader::new(reading(Some(family)), signatures());
            let mut pieces = reader.push(&marked[..at]);
            pieces.extend(reader.finish(true));
            let said = join(pieces);
            // What is not certain to be a call yet may be JSON that the model says.
            let is_json = matches!(&said[..], [Piece::Text(text)] if !text.is_empty() && json.starts_with(text));
            assert!(said.is_empty() || is_json, "{family:?}: {said:?} of {}", &marked[..at]);
        }
    }
    let mut reader = Reader::new(reading(Some(Protocol::Hermes)), Vec::new());
    reader.push("1 <");
    assert_eq!(reader.finish(true), [text(" <")]);
}

#[test]
fn an_answer_that_is_cut_in_a_value_has_told_what_came_of_it() {
    let cut = |text: &str| {
        let mut reader = Reader::new(reading(Some(Protocol::Coder)), signatures());
        let mut pieces = reader.push(text);
        pieces.extend(reader.finish(true));
        join(pieces)
    };
    let begun = "<tool_call>\n<function=weather>\n<parameter=city>\nUl";
    assert_eq!(cut(begun), call("weather", r#"{"city": "Ul"#));
    let number = format!("{begun}m\n</parameter>\n<parameter=days>\n1");
    assert_eq!(cut(&number), call("weather", r#"{"city": "Ulm""#));
}

#[test]
fn a_thought_is_split_from_what_is_said() {
    let thought = |text: &str| Piece::Thought(text.to_owned());
    assert_eq!(read(Protocol::Hermes, "<think>\nHm: < 3.\n</think>\n\nYes."), [thought("Hm: < 3."), text("Yes.")]);
    assert_eq!(read(Protocol::Hermes, "Yes <think>no</think>"), [text("Yes <think>no</think>")]);
    let opened = Reading { is_thinking: true, ..reading(None) };
    assert_eq!(read_cut(opened, "Hm.</think>Yes.", &[1, 5, 9]), [thought("Hm."), text("Yes.")]);
    let [a, none] = call("a", "{}");
    let called = "<think>x</think>\n<tool_call>\n{\"name\": \"a\", \"arguments\": {}}\n</tool_call>";
    assert_eq!(read(Protocol::Hermes, called), [thought("x"), a, none]);
    let square = Reading { thoughts: Some(SQUARE), ..reading(None) };
    assert_eq!(read_cut(square, "[THINK]Hm: <3.[/THINK]Yes.", &[3, 9, 16]), [thought("Hm: <3."), text("Yes.")]);
    let silent = Reading { thoughts: None, ..reading(None) };
    assert_eq!(read_cut(silent, "<think>a</think>", &[]), [text("<think>a</think>")]);
}

#[test]
fn a_call_is_told_once_when_it_begins() {
    let mut reader = Reader::new(reading(Some(Protocol::Hermes)), Vec::new());
    reader.push("Text <tool_");
    assert_eq!(reader.call_begun(), None);
    reader.push("call>\n");
    assert_eq!(reader.call_begun(), Some("\n"));
    assert_eq!(reader.call_begun(), None);
    let mut reader = Reader::new(reading(Some(Protocol::Llama)), Vec::new());
    reader.push("{");
    assert_eq!(reader.call_begun(), None);
    reader.push("\"name\"");
    assert_eq!(reader.call_begun(), Some("{\"name\""));
}

proptest! {
    #[test]
    fn however_an_answer_is_cut_it_reads_the_same(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<tool_call>", "</tool_call>", "{\"name\": \"a\", ", "\"arguments\": ", "{\"x\": \"}\"}", "}", "[TOOL_CALLS]",
                "[", "]", ", ", "<think>", "</think>", "\n", " ", "Hallo é", "<", "\"", "{", "a[ARGS]", "[CALL_ID]",
                "<function=weather>\n", "<parameter=city>\n", "<parameter=days>\n3", "\n</parameter>", "</function>",
            ]),
            0..12,
        ),
        cuts in prop::collection::vec(0..200_usize, 0..20),
        family in prop::sample::select(vec![
            Protocol::Hermes, Protocol::Llama, Protocol::Mistral, Protocol::MistralNamed { ids: true }, Protocol::Coder,
        ]),
    ) {
        let answer = parts.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= answer.len()).collect();
        cuts.sort_unstable();
        let whole = read_cut(reading(Some(family)), &answer, &[]);
        prop_assert_eq!(read_cut(reading(Some(family)), &answer, &cuts), whole);
    }
}
