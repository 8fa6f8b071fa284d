//! Texts as vectors: `batchEmbedContents`.

use serde::{Deserialize, Serialize};

use crate::chat::reply::Embedded;
use crate::chat::{ChatRequest, Content, Usage};
use crate::dialect::{Rendered, Target, Unfit};

/// The fixed words of a body. Where a model stands, `models/` may be before it.
pub const WORDS: &[&str] = &["requests", "model", "content", "parts", "text", "outputDimensionality"];

#[derive(Serialize)]
struct Body<'a> {
    requests: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    model: &'a str,
    content: Texts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
}

#[derive(Serialize)]
struct Texts<'a> {
    parts: [Text<'a>; 1],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

/// The body for `target`.
///
/// # Errors
/// Where anything else than text is to become a vector.
pub fn render(request: &ChatRequest, target: &Target<'_>) -> Result<Rendered, Unfit> {
    let model = path(target.model);
    let one = |content: &'_ Content| match content {
        Content::Text(text) => Ok(text.expose().to_owned()),
        _ => Err(Unfit("vectors of anything else than text")),
    };
    let texts = request.messages.iter().flat_map(|message| &message.content).map(one).collect::<Result<Vec<_>, _>>()?;
    let dimensions = request.vectors.dimensions;
    let requests = texts.iter().map(|text| One {
        model: &model,
        content: Texts { parts: [Text { text }] },
        output_dimensionality: dimensions,
    });
    let body = Body { requests: requests.collect() };
    let losses = if request.end_user.is_some() { vec!["user"] } else { Vec::new() };
    // Strings and numbers into memory: neither can fail.
    Ok(Rendered { body: serde_json::to_vec(&body).unwrap_or_default(), losses })
}

/// Where a model lies: tuned models, and those of others, say so themselves.
pub fn path(model: &str) -> String {
    let folder = if model.contains('/') { "" } else { "models/" };
    format!("{folder}{model}")
}

/// The vectors in an answer; `None` where it is none.
pub fn read(body: &[u8]) -> Option<Embedded> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        embeddings: Vec<Vector>,
        usage_metadata: Option<Counts>,
    }
    #[derive(Deserialize)]
    struct Vector {
        values: Vec<f32>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Counts {
        prompt_token_count: Option<u64>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let input = answer.usage_metadata.and_then(|counts| counts.prompt_token_count);
    let usage = input.map(|input| Usage { input, ..Usage::default() });
    Some(Embedded { vectors: answer.embeddings.into_iter().map(|vector| vector.values).collect(), usage })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::edit::CapField;
    use crate::dialect::{Dialect, faithful, testing};

    const TARGET: Target<'_> =
        Target { model: "gemini-embedding-001", max_output: 0, cap_field: CapField::MaxTokens, stream_options: true };

    #[test]
    fn each_text_is_a_request_of_its_own_and_says_what_was_classified() {
        let body = json!({"model": "m", "input": ["a", "b\n"], "dimensions": 3, "user": "u"});
        testing::decoded(Dialect::Embeddings, &body.to_string(), |decoded| {
            let decoded = decoded.unwrap();
            let rendered = render(&decoded.request, &TARGET).unwrap();
            assert_eq!(faithful::verify(&rendered.body, &decoded.parts, WORDS, &TARGET), Ok(()));
            assert_eq!(rendered.losses, ["user"]);
            insta::assert_snapshot!(String::from_utf8(rendered.body).unwrap());
        });
    }

    #[test]
    fn vectors_are_read_with_their_tokens_where_those_are_told() {
        let told = r#"{"embeddings":[{"values":[0.5,-1]},{"values":[]}],"usageMetadata":{"promptTokenCount":7}}"#;
        let usage = Some(Usage { input: 7, ..Usage::default() });
        assert_eq!(read(told.as_bytes()), Some(Embedded { vectors: vec![vec![0.5, -1.0], vec![]], usage }));
        assert_eq!(read(br#"{"embeddings":[]}"#).map(|embedded| embedded.usage), Some(None));
        assert_eq!([read(b"{}"), read(br#"{"embeddings":[{}]}"#)], [None, None]);
    }
}
