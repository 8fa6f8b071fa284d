//! Answers in channels.

use super::super::super::CHANNELS;
use super::*;

const CALLS: Option<Protocol> = Some(Protocol::Channels);

fn reading(calls: Option<Protocol>, begun: &'static str) -> Reading {
    Reading { calls, thoughts: Some(CHANNELS), is_thinking: false, begun }
}

/// What is read of `text`, which is the same character by character.
fn read(reading: Reading, text: &str) -> Vec<Piece> {
    let cuts: Vec<usize> = (0..text.len()).collect();
    let whole = read_cut(reading, text, &[]);
    assert_eq!(whole, read_cut(reading, text, &cuts), "{text}");
    whole
}

fn thought(text: &str) -> Piece {
    Piece::Thought(text.to_owned())
}

#[test]
fn what_is_analysed_is_a_thought_and_what_is_said_elsewhere_is_text() {
    let end = "<|end|><|start|>assistant";
    for (written, pieces) in [
        ("<|channel|>final<|message|>A river. <b>\n".to_owned(), vec![text("A river. <b>\n")]),
        (
            format!("<|channel|>analysis<|message|>Hm, a\nriver?{end}<|channel|>final<|message|>A river."),
            vec![thought("Hm, a\nriver?"), text("A river.")],
        ),
        (
            format!("<|channel|>commentary<|message|>I look.{end}<|channel|>final<|message|>A river."),
            vec![text("I look.\nA river.")],
        ),
        (format!("<|channel|>analysis<|message|>a{end}<|channel|>analysis<|message|>b<|end|>"), vec![thought("a\nb")]),
        // Heads that gpt-oss is seen to write.
        (
            "<|channel|>commentary to=assistant<|channel|>analysis<|message|>a<|channel|>final<|message|>b".to_owned(),
            vec![thought("a"), text("b")],
        ),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>".to_owned(), vec![text("{}")]),
        // And none at all.
        ("A river <|".to_owned(), vec![text("A river <|")]),
        (format!("<|start|>{}", "a".repeat(2000)), vec![text(&format!("<|start|>{}", "a".repeat(2000)))]),
    ] {
        for calls in [None, CALLS] {
            assert_eq!(read(reading(calls, ""), &written), pieces, "{written}");
        }
    }
}

#[test]
fn a_call_is_found_in_either_place_of_its_head() {
    let arguments = r#"{"city": "<|end|> Ulm", "days": [1, {"a": 2}]}"#;
    let [named, given] = call("weather", arguments);
    for head in [
        " to=functions.weather<|channel|>commentary json",
        " to=functions.weather<|channel|>analysis <|constrain|>json",
        "<|channel|>commentary to=functions.weather <|constrain|>json",
        "<|channel|>commentary to=functions.weather json",
        "<|channel|>analysis to=functions.weather",
    ] {
        let written = format!("{head}<|message|>{arguments}");
        assert_eq!(read(reading(CALLS, ""), &written), [named.clone(), given.clone()], "{written}");
        let thinking = format!("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant{written}<|call|>");
        let pieces = [thought("Hm."), named.clone(), given.clone()];
        assert_eq!(read(reading(CALLS, ""), &thinking), pieces, "{thinking}");
    }
    // What a prompt has begun is read with the rest.
    let forced = reading(CALLS, Protocol::Channels.opening());
    assert_eq!(read(forced, &format!("weather<|message|>{arguments}")), [named, given]);
    assert_eq!(read(reading(None, "<|channel|>final<|message|>"), "{\"a\": 1}"), [text("{\"a\": 1}")]);
}

#[test]
fn what_is_spoken_to_somebody_who_was_not_offered_is_no_text_and_no_call() {
    let python = "<|channel|>analysis to=python code<|message|>print(1)";
    assert_eq!(read(reading(CALLS, ""), python), [thought("print(1)")]);
    let function = "<|channel|>commentary to=functions.f<|message|>{}";
    assert_eq!(read(reading(None, ""), function), [thought("{}")]);
}

#[test]
fn calls_in_words_of_ours_are_found_in_what_is_said() {
    let written = "<|channel|>final<|message|><tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
    assert_eq!(read(reading(Some(Protocol::Own), ""), written), call("f", "{}"));
}

#[test]
fn it_is_told_once_that_a_call_has_begun_with_what_was_read_of_it() {
    let mut reader = Reader::new(reading(CALLS, ""), Vec::new());
    reader.push("<|channel|>analysis<|message|>to=functions. <|end|><|start|>assistant to=functions");
    assert_eq!(reader.call_begun(), None);
    reader.push(".we");
    assert_eq!(reader.call_begun(), Some("we"));
    reader.push("ather");
    assert_eq!(reader.call_begun(), None);
    assert_eq!(join(reader.push("<|message|>{}"))[0], Piece::Call("weather".to_owned()));
}

#[test]
fn what_is_cut_shows_no_marker() {
    for (written, pieces) in [
        ("<|channel|>final<|message|>A river<|en", vec![text("A river")]),
        ("<|channel|>analysis<|message|>Hm<|", vec![thought("Hm")]),
        ("<|channel|>comment", Vec::new()),
        ("<|channel|>commentary to=functions.f<|message|>{\"a\": 1", call("f", "{\"a\": 1").to_vec()),
    ] {
        let mut reader = Reader::new(reading(CALLS, ""), Vec::new());
        let mut all = reader.push(written);
        all.extend(reader.finish(true));
        assert_eq!(join(all), pieces, "{written}");
    }
}

proptest! {
    #[test]
    fn the_cut_does_not_change_what_is_read_whatever_is_written(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "assistant", " to=", "functions.f", "analysis",
                "final", "commentary", " json", "{\"a\": ", "1}", "é", " ", "<|",
            ]),
            0..24,
        ),
        cuts in prop::collection::vec(0..200_usize, 0..12),
    ) {
        let text = parts.concat();
        let mut cuts = cuts;
        cuts.sort_unstable();
        let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= text.len()).collect();
        prop_assert_eq!(read_cut(reading(CALLS, ""), &text, &cuts), read_cut(reading(CALLS, ""), &text, &[]));
    }
}
