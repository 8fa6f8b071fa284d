//! What a provider says against a request, in whichever of the shapes that vendors give it.

use crate::chat::Json;

/// The provider's words. They may quote the request, so they go to its client only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// What is wrong.
    pub message: Option<String>,
    /// The field.
    pub param: Option<String>,
}

impl Words {
    /// Of an error's body. OpenAI, Anthropic and Google have an object `error`, some Google services a list of one of
    /// these, Ollama a text there; vLLM, SGLang and Mistral say it at the top; FastAPI lists it under `detail`.
    pub fn read(body: &[u8]) -> Self {
        let Ok(json) = Json::parse(body) else { return Self::default() };
        let root = json.as_array().and_then(|list| list.first()).unwrap_or(&json);
        let said = root.get("error").unwrap_or(root);
        if let Some(text) = said.as_str() {
            return Self { message: Some(text.to_owned()), param: None };
        }
        let text = |key| said.get(key).and_then(Json::as_str).map(str::to_owned);
        if let Some(message) = text("message") {
            return Self { message: Some(message), param: text("param") };
        }
        let detail = said.get("message").and_then(|message| message.get("detail")).or(said.get("detail"));
        detail.map(Self::of_detail).unwrap_or_default()
    }

    fn of_detail(detail: &Json<'_>) -> Self {
        if let Some(text) = detail.as_str() {
            return Self { message: Some(text.to_owned()), param: None };
        }
        let Some(first) = detail.as_array().and_then(|list| list.first()) else { return Self::default() };
        let place = first.get("loc").and_then(Json::as_array).unwrap_or_default();
        let steps = place.iter().filter_map(Json::as_str).filter(|step| *step != "body");
        let param = steps.collect::<Vec<_>>().join(".");
        let message = first.get("msg").and_then(Json::as_str).map(str::to_owned);
        Self { message, param: Some(param).filter(|param| !param.is_empty()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_found_in_every_vendors_shape() {
        for (body, param) in [
            (r#"{"error":{"message":"no","type":"t","param":"top_p","code":null}}"#, Some("top_p")),
            (r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#, None),
            (r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#, None),
            (r#"{"error":"no"}"#, None),
            (r#"{"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}"#, None),
            (r#"{"detail":"no"}"#, None),
            (r#"{"detail":[{"loc":["body","top_p"],"msg":"no","type":"x"}]}"#, Some("top_p")),
            (r#"{"object":"error","message":{"detail":[{"loc":["body","a","b"],"msg":"no"}]}}"#, Some("a.b")),
        ] {
            let Words { message, param: field } = Words::read(body.as_bytes());
            assert_eq!((message.as_deref(), field.as_deref()), (Some("no"), param), "{body}");
        }
        for nothing in ["<html>", "[]", "{}", r#"{"error":7}"#, r#"{"detail":[]}"#] {
            assert!(Words::read(nothing.as_bytes()) == Words::default(), "{nothing}");
        }
    }
}
