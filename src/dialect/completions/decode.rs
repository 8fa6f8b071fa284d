//! The body of `POST /v1/completions` to the neutral request and its parts.

use std::ops::Range;

use crate::chat::{Content, Json, Message, Source};
use crate::dialect::draft::{Draft, members};
use crate::dialect::field::{At, optional};
use crate::dialect::openai::{sampling, shape};
use crate::dialect::{BadRequest, Decoded, Dialect, Feature};

/// Tokens of an answer where the client does not say how many, as at OpenAI.
const MAX_TOKENS: u32 = 16;
/// As many alternatives per token as OpenAI takes.
const MAX_LOGPROBS: u32 = 5;
/// As many drafts as OpenAI takes.
const MAX_DRAFTS: u32 = 20;

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
///
/// # Errors
/// What is wrong with the body.
pub fn decode<'a>(body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
    let mut decoder = Decoder { draft: Draft::new(body, json), include_usage: None };
    for (key, member) in members(body, json)? {
        decoder.member(&member.key, key, &member.value)?;
    }
    decoder.finish()
}

struct Decoder<'a> {
    draft: Draft<'a>,
    include_usage: Option<bool>,
}

impl<'a> Decoder<'a> {
    fn member(&mut self, key: &'a str, key_span: Range<usize>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let root = At::ROOT;
        let at = root.key(key);
        match key {
            "model" => self.draft.model(&at, json),
            "prompt" => self.prompt(&at, json),
            "max_tokens" => {
                self.draft.points.max_tokens = Some(self.draft.cap(&at, key_span, json)?);
                Ok(())
            }
            "stream" => self.draft.stream(&at, json),
            "stream_options" => {
                self.include_usage = shape::stream_options(&mut self.draft, &at, key_span, json)?;
                Ok(())
            }
            "user" => self.draft.end_user(&at, json),
            "suffix" => optional(json, || self.suffix(&at, json)),
            "echo" | "logprobs" | "best_of" => optional(json, || self.option(&at, key, json)),
            _ if sampling::KEYS.contains(&key) => optional(json, || sampling::read(&mut self.draft, &at, key, json)),
            _ => {
                self.draft.unknown(key, json);
                Ok(())
            }
        }
    }

    /// One text, also as the only one of a list.
    fn prompt(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        if json.is_null() {
            return Err(at.missing());
        }
        let is_tokens = |json: &Json<'_>| matches!(json.kind(), "a number" | "an array");
        let text = match json.as_array() {
            Some(prompts) if prompts.iter().any(is_tokens) => {
                let must = "be text, not tokens: nobody here can look at what those say";
                return Err(at.must(must, "tokens_not_taken"));
            }
            Some([only]) => at.index(0).filled(only)?,
            Some([]) => return Err(at.invalid("not be empty")),
            Some(_) => return Err(at.must("be one text: send each prompt in a request of its own", "several_prompts")),
            None => at.filled(json)?,
        };
        self.draft.parts.text(text, Source::User);
        self.draft.request.messages.push(Message { content: vec![Content::Text(text.into())], ..Message::default() });
        Ok(())
    }

    fn suffix(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let text = at.string(json)?;
        self.draft.parts.text(text, Source::User);
        if !text.is_empty() {
            self.draft.uses.insert(Feature::Suffix);
        }
        Ok(())
    }

    fn option(&mut self, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::Parameter);
        let request = &mut self.draft.request;
        match key {
            "echo" => request.echo = at.boolean(json)?,
            "best_of" => request.sampling.best_of = Some(at.count(json, 1..=MAX_DRAFTS)?),
            _ => request.sampling.logprobs = Some(at.count(json, 0..=MAX_LOGPROBS)?),
        }
        Ok(())
    }

    /// Checks what concerns several fields.
    fn finish(mut self) -> Result<Decoded<'a>, BadRequest> {
        let request = &mut self.draft.request;
        let sampling = &mut request.sampling;
        let choices = sampling.n.unwrap_or(1);
        if sampling.best_of.is_some_and(|drafts| drafts < choices) {
            return Err(At::ROOT.key("best_of").invalid("be at least `n`"));
        }
        sampling.max_tokens.get_or_insert(MAX_TOKENS);
        let needs = [
            (Feature::BestOf, sampling.best_of.is_some_and(|drafts| drafts > choices)),
            (Feature::Logprobs, sampling.logprobs.is_some()),
            (Feature::PromptLogprobs, sampling.logprobs.is_some() && request.echo),
        ];
        needs.iter().filter(|(_, is_needed)| *is_needed).for_each(|(feature, _)| self.draft.uses.insert(*feature));
        self.draft.request.streaming = self.draft.streaming(self.include_usage)?;
        self.draft.decoded(Dialect::Completions, "prompt")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::{Streaming, Task};
    use crate::dialect::testing::{all_is_among_the_parts, any_value, extended, extras, refusals, request, uses};

    const DIALECT: Dialect = Dialect::Completions;

    fn asks(fields: Value) -> Value {
        extended(json!({"model": "m", "prompt": "Once"}), fields.as_object().unwrap().clone())
    }

    #[test]
    fn a_prompt_is_one_message_and_its_answer_has_sixteen_tokens_unless_more_are_asked_for() {
        let plain = request(DIALECT, &asks(json!({})));
        assert_eq!(
            (plain.task, plain.messages.len(), plain.messages[0].text().as_str()),
            (Task::Completions, 1, "Once")
        );
        assert_eq!((plain.sampling.max_tokens, plain.streaming), (Some(16), Streaming::Off));
        assert_eq!(request(DIALECT, &json!({"model": "m", "prompt": ["Once"]})).messages[0].text(), "Once");
        let full = request(
            DIALECT,
            &asks(json!({"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "n": 2, "best_of": 3,
            "seed": 7, "stop": ["a", "b"], "presence_penalty": 1, "frequency_penalty": -1, "logit_bias": {"5": -100},
            "logprobs": 3, "echo": true, "user": "u", "stream": true, "stream_options": {"include_usage": true}})),
        );
        assert_eq!(
            full.sampling,
            crate::chat::Sampling {
                temperature: Some(0.5),
                top_p: Some(0.9),
                n: Some(2),
                best_of: Some(3),
                seed: Some(7),
                stop: vec!["a".to_owned(), "b".to_owned()],
                presence_penalty: Some(1.0),
                frequency_penalty: Some(-1.0),
                logit_bias: vec![(5, -100.0)],
                max_tokens: Some(5),
                logprobs: Some(3),
                ..crate::chat::Sampling::default()
            }
        );
        assert_eq!((full.echo, full.streaming), (true, Streaming::On { usage: true }));
    }

    #[test]
    fn what_few_can_do_is_told() {
        assert!(uses(DIALECT, &asks(json!({"suffix": "", "best_of": 1, "echo": true, "logprobs": null}))).is_empty());
        assert_eq!(uses(DIALECT, &asks(json!({"suffix": "end"}))), ["suffix"]);
        assert_eq!(uses(DIALECT, &asks(json!({"best_of": 2}))), ["best_of"]);
        assert_eq!(uses(DIALECT, &asks(json!({"logprobs": 0}))), ["logprobs"]);
        assert_eq!(uses(DIALECT, &asks(json!({"logprobs": 2, "echo": true}))), ["logprobs", "prompt_logprobs"]);
        assert_eq!(
            uses(DIALECT, &asks(json!({"n": 2, "stream": true, "late": 1}))),
            ["several_choices", "stream", "unknown_fields"]
        );
    }

    #[test]
    fn each_mistake_is_refused_by_the_name_of_its_field() {
        insta::assert_snapshot!(refusals(
            DIALECT,
            &[
                json!({"prompt": "Once"}),
                json!({"model": "m"}),
                json!({"model": "m", "prompt": null}),
                json!({"model": "m", "prompt": ""}),
                json!({"model": "m", "prompt": 7}),
                json!({"model": "m", "prompt": []}),
                json!({"model": "m", "prompt": ["a", "b"]}),
                json!({"model": "m", "prompt": [1, 2]}),
                json!({"model": "m", "prompt": [[1], [2]]}),
                json!({"model": "m", "prompt": [null]}),
                asks(json!({"max_tokens": 0})),
                asks(json!({"logprobs": true})),
                asks(json!({"logprobs": 6})),
                asks(json!({"echo": 1})),
                asks(json!({"best_of": 21})),
                asks(json!({"n": 3, "best_of": 2})),
                asks(json!({"suffix": 1})),
                asks(json!({"stop": ["a", ""]})),
                asks(json!({"stream_options": {"include_usage": true}})),
                asks(json!({"temperature": 3})),
            ]
        ));
    }

    proptest! {
        #[test]
        fn every_leaf_and_unknown_key_is_among_the_parts(
            text in ".{1,8}",
            more in ".{0,8}",
            stop in ".{1,8}",
            extra in extras(),
        ) {
            let body = json!({"model": "m", "prompt": text, "suffix": more, "user": more, "stop": stop, "seed": 7,
                "logit_bias": {"50256": -100}, "logprobs": 2, "best_of": 1, "max_tokens": 9});
            prop_assert!(all_is_among_the_parts(DIALECT, &extended(body, extra))?);
        }

        #[test]
        fn whatever_stands_in_a_field_is_taken_whole_or_refused(
            field in prop::sample::select(vec!["prompt", "suffix", "stop", "user", "logit_bias", "x-other", "best_of"]),
            value in any_value(),
        ) {
            let mut body = asks(json!({}));
            body[field] = value;
            all_is_among_the_parts(DIALECT, &body)?;
        }
    }
}
