//! The body of `POST /v1/moderations` to the neutral request and its parts.

use crate::chat::{Content, Json, Message, Source};
use crate::dialect::draft::{Draft, members};
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Decoded, Dialect, Feature};

/// What a client asks for that names no model: the dialect lets it.
const ANY: &str = "auto";

/// Understands `json`, which was parsed from `body`; see [`crate::dialect::Dialect::decode`].
///
/// # Errors
/// What is wrong with the body.
pub fn decode<'a>(body: &'a [u8], json: &'a Json<'a>) -> Result<Decoded<'a>, BadRequest> {
    let mut draft = Draft::new(body, json);
    ANY.clone_into(&mut draft.request.model);
    for (_, member) in members(body, json)? {
        let (root, json) = (At::ROOT, &member.value);
        let at = root.key(&member.key);
        match member.key.as_ref() {
            "model" if json.is_null() => draft.points.model = Some(json.span.clone()),
            "model" => draft.model(&at, json)?,
            "input" => input(&mut draft, &at, json)?,
            key => draft.unknown(key, json),
        }
    }
    draft.decoded(Dialect::Moderations, "input")
}

/// A text, several, or one of texts and images.
fn input<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
    if json.is_null() {
        return Err(at.missing());
    }
    let contents = match json.as_str() {
        Some(_) => vec![text(draft, at, json)?],
        None => items(draft, at, json)?,
    };
    draft.request.messages.push(Message { content: contents, ..Message::default() });
    Ok(())
}

fn items<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<Vec<Content>, BadRequest> {
    let items = json.as_array().ok_or_else(|| at.wrong_type("a string or an array", json))?;
    if items.is_empty() {
        return Err(at.invalid("not be empty"));
    }
    let item = |(index, item): (usize, &'a Json<'a>)| {
        let at = at.index(index);
        if item.as_str().is_some() { text(draft, &at, item) } else { part(draft, &at, item) }
    };
    items.iter().enumerate().map(item).collect()
}

fn text<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<Content, BadRequest> {
    let text = at.string(json)?;
    draft.parts.text(text, Source::User);
    Ok(Content::Text(text.into()))
}

fn part<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<Content, BadRequest> {
    json.as_object().ok_or_else(|| at.wrong_type("a string or an object", json))?;
    let kind = at.key("type").one_of(at.required(json, "type")?, &["text", "image_url"])?;
    let value = at.required(json, kind)?;
    for member in at.object(json)? {
        match member.key.as_ref() {
            "type" => draft.parts.text(kind, Source::Parameter),
            key if key == kind => {}
            key => draft.unknown(key, &member.value),
        }
    }
    let at = at.key(kind);
    if kind == "text" { text(draft, &at, value) } else { image(draft, &at, value) }
}

fn image<'a>(draft: &mut Draft<'a>, at: &At<'_>, json: &'a Json<'a>) -> Result<Content, BadRequest> {
    let url = at.key("url").filled(at.required(json, "url")?)?;
    draft.uses.insert(Feature::Image);
    for member in at.object(json)? {
        match member.key.as_ref() {
            "url" => draft.parts.text(url, Source::Media),
            key => draft.unknown(key, &member.value),
        }
    }
    Ok(Content::Image(url.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::Task;
    use crate::dialect::testing::{all_is_among_the_parts, any_value, extended, extras, refusals, request, uses};

    const DIALECT: Dialect = Dialect::Moderations;

    fn asks(input: Value) -> Value {
        json!({"input": input})
    }

    fn seen() -> Value {
        json!([{"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}])
    }

    #[test]
    fn one_text_several_and_images_are_one_message_and_a_model_need_not_be_named() {
        let one = request(DIALECT, &asks(json!("hello")));
        assert_eq!(
            (one.task, one.model.as_str(), one.messages[0].text().as_str()),
            (Task::Moderations, "auto", "hello")
        );
        assert_eq!(request(DIALECT, &json!({"model": null, "input": "a"})).model, "auto");
        let several = request(DIALECT, &json!({"model": "m", "input": ["a", "b"]}));
        assert_eq!((several.model.as_str(), several.messages.len(), several.messages[0].content.len()), ("m", 1, 2));
        let images = request(DIALECT, &asks(seen()));
        assert_eq!(images.messages[0].content[1], Content::Image("https://a.example/b.png".into()));
        assert_eq!(uses(DIALECT, &asks(seen())), ["image"]);
        assert!(uses(DIALECT, &asks(json!("a"))).is_empty());
    }

    #[test]
    fn each_mistake_is_refused_by_the_name_of_its_field() {
        insta::assert_snapshot!(refusals(
            DIALECT,
            &[
                json!({}),
                asks(json!(null)),
                asks(json!([])),
                asks(json!(7)),
                asks(json!([7])),
                asks(json!([["a"]])),
                asks(json!([{"text": "a"}])),
                asks(json!([{"type": "audio", "audio": {}}])),
                asks(json!([{"type": "text", "image_url": {"url": "a"}}])),
                asks(json!([{"type": "image_url", "image_url": "a"}])),
                asks(json!([{"type": "image_url", "image_url": {"url": ""}}])),
            ]
        ));
    }

    proptest! {
        #[test]
        fn every_leaf_and_unknown_key_is_among_the_parts(text in ".{0,8}", url in ".{1,8}", extra in extras(), more in extras()) {
            let part = extended(json!({"type": "text", "text": text}), extra.clone());
            let picture = json!({"type": "image_url", "image_url": extended(json!({"url": url}), more)});
            let body = extended(asks(json!([part, picture])), extra);
            prop_assert!(all_is_among_the_parts(DIALECT, &body)?);
        }

        #[test]
        fn whatever_stands_in_a_field_is_taken_whole_or_refused(
            field in prop::sample::select(vec!["input", "model", "x-other"]),
            value in any_value(),
        ) {
            let mut body = asks(json!("a"));
            body[field] = value;
            all_is_among_the_parts(DIALECT, &body)?;
        }
    }
}
