//! The body of `POST /v1/embeddings` to the neutral request and its parts.

use crate::chat::{Content, Json, Message, Source};
use crate::dialect::draft::{Draft, members};
use crate::dialect::field::{At, optional};
use crate::dialect::{BadRequest, Decoded, Dialect, Feature};

/// As many texts as OpenAI takes.
const MAX_INPUTS: usize = 2048;

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
///
/// # Errors
/// What is wrong with the body.
pub fn decode<'a>(body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
    let mut draft = Draft::new(body, json);
    for (_, member) in members(body, json)? {
        self::member(&mut draft, &member.key, &member.value)?;
    }
    draft.decoded(Dialect::Embeddings, "input")
}

fn member<'a>(draft: &mut Draft<'a>, key: &'a str, json: &'a Json<'a>) -> Result<(), BadRequest> {
    let root = At::ROOT;
    let at = root.key(key);
    match key {
        "model" => draft.model(&at, json),
        "input" => input(draft, &at, json),
        "dimensions" => optional(json, || {
            draft.parts.tree(json, Source::Parameter);
            draft.request.vectors.dimensions = Some(at.count(json, 1..=u32::MAX)?);
            draft.uses.insert(Feature::Dimensions);
            Ok(())
        }),
        "encoding_format" => optional(json, || {
            draft.parts.tree(json, Source::Parameter);
            draft.request.vectors.base64 = at.one_of(json, &["float", "base64"])? == "base64";
            Ok(())
        }),
        "user" => draft.end_user(&at, json),
        _ => {
            draft.unknown(key, json);
            Ok(())
        }
    }
}

/// A text, or several.
fn input<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
    if json.is_null() {
        return Err(at.missing());
    }
    if json.as_str().is_some() {
        return text(draft, at, json);
    }
    let texts = json.as_array().ok_or_else(|| at.wrong_type("a string or an array of strings", json))?;
    if texts.is_empty() {
        return Err(at.invalid("not be empty"));
    }
    if texts.len() > MAX_INPUTS {
        return Err(at.invalid(format_args!("have at most {MAX_INPUTS} entries")));
    }
    texts.iter().enumerate().try_for_each(|(index, json)| text(draft, &at.index(index), json))
}

fn text<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
    if matches!(json.kind(), "a number" | "an array") {
        let must = "be text, not tokens: nobody here can look at what those say (LangChain: `check_embedding_ctx_length=False`)";
        return Err(at.must(must, "tokens_not_taken"));
    }
    let text = at.filled(json)?;
    draft.parts.text(text, Source::User);
    draft.request.messages.push(Message { content: vec![Content::Text(text.into())], ..Message::default() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::Task;
    use crate::dialect::testing::{
        all_is_among_the_parts, any_value, decoded, extended, extras, refusals, request, uses,
    };

    const DIALECT: Dialect = Dialect::Embeddings;

    fn asks(input: Value) -> Value {
        json!({"model": "m", "input": input})
    }

    #[test]
    fn each_text_is_a_message_and_the_answer_is_no_text() {
        let one = request(DIALECT, &asks(json!("hello")));
        assert_eq!((one.task, one.messages[0].text().as_str()), (Task::Embeddings, "hello"));
        let body =
            json!({"model": "m", "input": ["a", "b\n"], "dimensions": 256, "encoding_format": "base64", "user": "u"});
        let several = request(DIALECT, &body);
        let texts: Vec<String> = several.messages.iter().map(Message::text).collect();
        assert_eq!(texts, ["a", "b\n"]);
        assert_eq!((several.vectors.dimensions, several.vectors.base64), (Some(256), true));
        assert_eq!(several.end_user.as_ref().map(crate::chat::Text::expose), Some("u"));
        assert_eq!(several.sampling.max_tokens, Some(0));
        assert_eq!(uses(DIALECT, &body), ["dimensions"]);
    }

    #[test]
    fn null_is_absent_and_unknown_fields_are_told() {
        let body = json!({"model": "m", "input": "a", "dimensions": null, "encoding_format": null, "user": null});
        assert_eq!(request(DIALECT, &body).vectors, crate::chat::request::Vectors::default());
        assert_eq!(
            uses(DIALECT, &extended(asks(json!("a")), json!({"late": 1}).as_object().unwrap().clone())),
            ["unknown_fields"]
        );
    }

    #[test]
    fn each_mistake_is_refused_by_the_name_of_its_field() {
        let many = vec!["a"; MAX_INPUTS + 1];
        insta::assert_snapshot!(refusals(
            DIALECT,
            &[
                json!({"input": "a"}),
                json!({"model": "m"}),
                json!({"model": "", "input": "a"}),
                asks(json!(null)),
                asks(json!("")),
                asks(json!([])),
                asks(json!(["a", ""])),
                asks(json!(["a", null])),
                asks(json!({"text": "a"})),
                asks(json!([1, 2, 3])),
                asks(json!([[1, 2], [3]])),
                asks(json!(7)),
                asks(json!(many)),
                json!({"model": "m", "input": "a", "dimensions": 0}),
                json!({"model": "m", "input": "a", "dimensions": "many"}),
                json!({"model": "m", "input": "a", "encoding_format": "hex"}),
                json!({"model": "m", "input": "a", "user": 1}),
                json!([]),
            ]
        ));
    }

    #[test]
    fn a_text_that_hides_words_in_json_is_looked_through() {
        let body = asks(json!(["{\"a\":\"\\u0034111\"}"])).to_string();
        decoded(DIALECT, &body, |decoded| {
            assert!(decoded.unwrap().parts.iter().any(|part| part.text == "4111"));
        });
    }

    proptest! {
        #[test]
        fn every_leaf_and_unknown_key_is_among_the_parts(
            texts in prop::collection::vec(".{1,8}", 1..4),
            user in prop::option::of(".{0,8}"),
            extra in extras(),
        ) {
            let body = json!({"model": "m", "input": texts, "user": user, "dimensions": 3});
            prop_assert!(all_is_among_the_parts(DIALECT, &extended(body, extra))?);
        }

        #[test]
        fn whatever_stands_in_a_field_is_taken_whole_or_refused(
            field in prop::sample::select(vec!["input", "model", "dimensions", "encoding_format", "user", "x-other"]),
            value in any_value(),
        ) {
            let mut body = asks(json!("a"));
            body[field] = value;
            all_is_among_the_parts(DIALECT, &body)?;
        }
    }
}
