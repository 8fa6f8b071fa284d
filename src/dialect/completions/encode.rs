//! Neutral answers as OpenAI's legacy completions.

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::chat::reply::TokenLogprob;
use crate::chat::{Choice, Delta, FinishReason, Reply, Usage};
use crate::dialect::AnswerMeta;
use crate::dialect::openai::encode::shown;

/// A whole answer: a `text_completion`.
pub fn encode_reply(meta: &AnswerMeta<'_>, reply: &Reply) -> Vec<u8> {
    let echo = echoed(meta).unwrap_or_default();
    let choice = |(index, choice): (usize, &Choice)| WireChoice {
        text: [&echo, choice.text.expose(), choice.refusal.expose()].concat(),
        index: index as u32,
        logprobs: Likelihoods::of(&choice.logprobs, echo.chars().count()),
        finish_reason: Some(finish(choice.finish)),
    };
    let choices = reply.choices.iter().enumerate().map(choice).collect();
    written(&Document::new(&Head::of(meta), choices, Some(Some(Counts::of(reply.usage)))))
}

/// Turns deltas into the frames of a stream.
#[derive(Clone, Debug)]
pub struct StreamEncoder {
    head: Head,
    /// What comes before each choice's first words, where the client asked for it.
    echo: Option<String>,
    /// How far each choice has come, in characters.
    lengths: Vec<(u32, usize)>,
    /// `stream_options.include_usage`
    usage: bool,
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(meta: &AnswerMeta<'_>, include_usage: bool) -> Self {
        Self { head: Head::of(meta), echo: echoed(meta), lengths: Vec::new(), usage: include_usage }
    }

    /// Appends the frames for `delta`. Thoughts and calls have no word in this dialect, and usage that was not asked for
    /// has none.
    pub fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text { index, text, logprobs } => self.says(*index, text.expose(), logprobs, None, out),
            Delta::Refusal { index, text } => self.says(*index, text.expose(), &[], None, out),
            Delta::Finish { index, reason } => self.says(*index, "", &[], Some(*reason), out),
            Delta::Usage(counts) if self.usage => {
                frame(&Document::new(&self.head, Vec::new(), Some(Some(Counts::of(*counts)))), out);
            }
            Delta::Usage(_)
            | Delta::Thought { .. }
            | Delta::Sealed { .. }
            | Delta::Call { .. }
            | Delta::Arguments { .. } => {}
        }
    }

    /// Appends the end of a complete stream.
    pub fn done(&self, out: &mut BytesMut) {
        out.put_slice(b"data: [DONE]\n\n");
    }

    fn says(
        &mut self,
        index: u32,
        text: &str,
        logprobs: &[TokenLogprob],
        end: Option<FinishReason>,
        out: &mut BytesMut,
    ) {
        let begun = self.lengths.iter().position(|(begun, _)| *begun == index);
        let at = begun.unwrap_or_else(|| self.begin(index, out));
        let offset = self.lengths[at].1;
        self.lengths[at].1 += text.chars().count();
        let logprobs = Likelihoods::of(logprobs, offset);
        self.choice(WireChoice { text: text.to_owned(), index, logprobs, finish_reason: end.map(finish) }, out);
    }

    /// Says the prompt first, where that is asked for; where the choice's length is kept.
    fn begin(&mut self, index: u32, out: &mut BytesMut) -> usize {
        let echo = self.echo.clone();
        self.lengths.push((index, echo.as_ref().map_or(0, |echo| echo.chars().count())));
        if let Some(text) = echo {
            self.choice(WireChoice { text, index, logprobs: None, finish_reason: None }, out);
        }
        self.lengths.len() - 1
    }

    fn choice(&self, choice: WireChoice, out: &mut BytesMut) {
        frame(&Document::new(&self.head, vec![choice], self.usage.then_some(None)), out);
    }
}

/// What all chunks of an answer begin with.
#[derive(Clone, Debug)]
struct Head {
    id: String,
    created: i64,
    model: String,
}

impl Head {
    fn of(meta: &AnswerMeta<'_>) -> Self {
        Self { id: meta.id.to_owned(), created: meta.created, model: meta.model.to_owned() }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    system_fingerprint: Option<()>,
    choices: Vec<WireChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Counts>>,
}

impl<'a> Document<'a> {
    fn new(head: &'a Head, choices: Vec<WireChoice>, usage: Option<Option<Counts>>) -> Self {
        let Head { id, created, model } = head;
        Self { id, object: "text_completion", created: *created, model, system_fingerprint: None, choices, usage }
    }
}

#[derive(Serialize)]
struct WireChoice {
    text: String,
    index: u32,
    logprobs: Option<Likelihoods>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Cached,
    completion_tokens_details: Thought,
}

#[derive(Serialize)]
struct Cached {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct Thought {
    reasoning_tokens: u64,
}

impl Counts {
    fn of(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input.saturating_add(usage.output),
            prompt_tokens_details: Cached { cached_tokens: usage.cached_input },
            completion_tokens_details: Thought { reasoning_tokens: usage.reasoning },
        }
    }
}

/// How likely the tokens were, in the legacy shape.
#[derive(Serialize)]
struct Likelihoods {
    tokens: Vec<String>,
    token_logprobs: Vec<f32>,
    top_logprobs: Option<Vec<Map<String, Value>>>,
    /// Where each token begins, in characters of the choice's text.
    text_offset: Vec<usize>,
}

impl Likelihoods {
    /// Of tokens that begin at `offset`; `None` where none were asked for.
    fn of(logprobs: &[TokenLogprob], mut offset: usize) -> Option<Self> {
        let mut told =
            Self { tokens: Vec::new(), token_logprobs: Vec::new(), top_logprobs: None, text_offset: Vec::new() };
        for logprob in logprobs {
            let token = shown(&logprob.token.bytes);
            told.text_offset.push(offset);
            offset += token.chars().count();
            told.tokens.push(token);
            told.token_logprobs.push(logprob.token.logprob);
        }
        let has_tops = logprobs.iter().any(|logprob| !logprob.top.is_empty());
        told.top_logprobs = has_tops.then(|| logprobs.iter().map(tops).collect());
        (!logprobs.is_empty()).then_some(told)
    }
}

/// The most likely tokens by their text; of two that are shown alike the likelier.
fn tops(logprob: &TokenLogprob) -> Map<String, Value> {
    let mut tops = Map::new();
    for token in &logprob.top {
        tops.entry(shown(&token.bytes)).or_insert_with(|| token.logprob.into());
    }
    tops
}

/// The prompt, where it is to stand before the answer.
fn echoed(meta: &AnswerMeta<'_>) -> Option<String> {
    let request = meta.request.filter(|request| request.echo)?;
    Some(request.messages.iter().map(crate::chat::Message::text).collect())
}

fn finish(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Stop | FinishReason::ToolCalls => "stop",
    }
}

fn written(document: &Document<'_>) -> Vec<u8> {
    // Numbers and strings into memory: neither can fail.
    serde_json::to_vec(document).unwrap_or_default()
}

fn frame(document: &Document<'_>, out: &mut BytesMut) {
    out.put_slice(b"data: ");
    out.put_slice(&written(document));
    out.put_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::reply::LikelyToken;
    use crate::chat::{ChatRequest, Content, Message};

    fn asked(echo: bool) -> ChatRequest {
        let message = Message { content: vec![Content::Text("Né ".into())], ..Message::default() };
        ChatRequest { echo, messages: vec![message], ..ChatRequest::default() }
    }

    fn meta(request: &ChatRequest) -> AnswerMeta<'_> {
        AnswerMeta { id: "cmpl-1", created: 1_764_000_000, model: "home", input_tokens: 3, request: Some(request) }
    }

    fn likely(token: &str, logprob: f32) -> LikelyToken {
        LikelyToken { bytes: token.as_bytes().to_vec(), logprob }
    }

    fn deltas() -> Vec<Delta> {
        let logprob = |token: &str| TokenLogprob {
            token: likely(token, -0.5),
            top: vec![likely(token, -0.5), likely("x", -1.0), likely("x", -2.0)],
        };
        vec![
            Delta::Thought { index: 0, text: "hm".into() },
            Delta::Text { index: 0, text: "语a".into(), logprobs: vec![logprob("语"), logprob("a")] },
            Delta::Text { index: 1, text: "b".into(), logprobs: Vec::new() },
            Delta::Text { index: 0, text: "\"c".into(), logprobs: vec![logprob("\"c")] },
            Delta::Finish { index: 0, reason: FinishReason::Length },
            Delta::Finish { index: 1, reason: FinishReason::Stop },
            Delta::Usage(Usage { input: 3, output: 4, cached_input: 1, ..Usage::default() }),
        ]
    }

    fn streamed(echo: bool, usage: bool) -> String {
        let request = asked(echo);
        let mut encoder = StreamEncoder::new(&meta(&request), usage);
        let mut out = BytesMut::new();
        deltas().iter().for_each(|delta| encoder.delta(delta, &mut out));
        encoder.done(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn whole(echo: bool) -> String {
        let mut reply = Reply::default();
        deltas().into_iter().for_each(|delta| reply.add(delta));
        String::from_utf8(encode_reply(&meta(&asked(echo)), &reply)).unwrap()
    }

    #[test]
    fn a_whole_answer_looks_like_openais() {
        insta::assert_snapshot!(format!("{}\n{}", whole(false), whole(true)));
    }

    #[test]
    fn a_stream_looks_like_openais_and_has_the_prompt_first_where_asked() {
        insta::assert_snapshot!(streamed(true, true));
        assert!(!streamed(false, false).contains("usage"));
    }

    #[test]
    fn a_stream_says_what_a_whole_answer_says() {
        for echo in [false, true] {
            let whole: Value = serde_json::from_str(&whole(echo)).unwrap();
            let mut texts = [String::new(), String::new()];
            let mut offsets = Vec::new();
            for line in streamed(echo, true).lines().filter_map(|line| line.strip_prefix("data: {")) {
                let chunk: Value = serde_json::from_str(&format!("{{{line}")).unwrap();
                for choice in chunk["choices"].as_array().unwrap() {
                    let index = choice["index"].as_u64().unwrap() as usize;
                    texts[index].push_str(choice["text"].as_str().unwrap());
                    offsets.extend(choice["logprobs"]["text_offset"].as_array().into_iter().flatten().cloned());
                }
            }
            assert_eq!([&whole["choices"][0]["text"], &whole["choices"][1]["text"]], [&texts[0], &texts[1]]);
            assert_eq!(whole["choices"][0]["logprobs"]["text_offset"], Value::from(offsets));
        }
    }
}
