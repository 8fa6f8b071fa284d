//! Conversations that are continued by the id of an answer: what of them is kept, and how it comes into the next body.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::chat::Json;
use crate::chat::json::Value as JsonValue;
use crate::dialect::field::verbatim;

/// Where the next turn names the answer that it continues.
pub const CONTINUES: &str = "previous_response_id";

/// Whether the client lets its answer be kept.
pub fn may_be_kept(json: &Json<'_>) -> bool {
    json.get("store").and_then(Json::as_bool) != Some(false)
}

/// The answer that the body names.
pub fn continues<'a>(json: &'a Json<'_>) -> Option<&'a str> {
    json.get(CONTINUES).and_then(Json::as_str)
}

/// The items of `input`, as JSON with commas between; `None` where there is no such thing, which decoding will tell.
pub fn input(body: &[u8], json: &Json<'_>) -> Option<Vec<u8>> {
    let input = json.get("input")?;
    let text = verbatim(body, input);
    match &input.value {
        JsonValue::String(_) => Some(format!(r#"{{"type":"message","role":"user","content":{text}}}"#).into_bytes()),
        JsonValue::Array(_) => Some(text[1..text.len() - 1].trim_ascii().as_bytes().to_vec()),
        _ => None,
    }
}

/// The body with `turns` before its own `input` and without the answer's name: nobody else keeps it.
pub fn continued<'t>(body: &[u8], json: &Json<'_>, turns: impl IntoIterator<Item = &'t [u8]>) -> Vec<u8> {
    let own = input(body, json);
    let turns: Vec<&[u8]> = turns.into_iter().collect();
    let mut items = Vec::new();
    for turn in turns.into_iter().chain(own.as_deref()).filter(|turn| !turn.is_empty()) {
        if !items.is_empty() {
            items.push(b',');
        }
        items.extend_from_slice(turn);
    }
    let mut edits = Vec::new();
    if let (Some(input), Some(_)) = (json.get("input"), &own) {
        edits.push((input.span.clone(), [b"[", items.as_slice(), b"]"].concat()));
    }
    edits.extend(json.get(CONTINUES).map(|id| (id.span.clone(), b"null".to_vec())));
    edits.sort_by_key(|(span, _)| span.start);
    let (mut edited, mut from) = (Vec::with_capacity(body.len() + items.len()), 0);
    for (span, bytes) in edits {
        edited.extend_from_slice(&body[from..span.start]);
        edited.extend_from_slice(&bytes);
        from = span.end;
    }
    edited.extend_from_slice(&body[from..]);
    edited
}

/// The answer that has the item `id`, where ajar wrote it: `msg_01…_0` is of `resp_01…`.
pub fn answer_of(id: &str) -> Option<String> {
    let (own, number) = id.split_once('_')?.1.rsplit_once('_')?;
    let is_ours = own.len() == 26 && own.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_ours && is_numbered).then(|| format!("resp_{own}"))
}

/// Whether `input` refers to items by their ids.
pub fn refers(json: &Json<'_>) -> bool {
    let items = json.get("input").and_then(Json::as_array);
    items.into_iter().flatten().any(|item| referred(item).is_some())
}

/// The body with the items themselves where its `input` refers to them by id, as far as `find` knows the id.
///
/// # Errors
/// Those of `find`.
pub fn resolved<E>(
    body: &[u8],
    json: &Json<'_>,
    mut find: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<u8>, E> {
    let Some((input, items)) = json.get("input").and_then(|input| Some((input, input.as_array()?))) else {
        return Ok(body.to_vec());
    };
    let mut written = Vec::with_capacity(items.len());
    for item in items {
        let found = match referred(item) {
            Some(id) => find(id)?,
            None => None,
        };
        written.push(found.unwrap_or_else(|| verbatim(body, item).as_bytes().to_vec()));
    }
    // A thought that only its provider's memory holds is nothing here.
    written.retain(|item| !item.is_empty());
    Ok([&body[..input.span.start], b"[", &written.join(&b','), b"]", &body[input.span.end..]].concat())
}

fn referred<'a>(item: &'a Json<'_>) -> Option<&'a str> {
    (item.get("type").and_then(Json::as_str) == Some("item_reference")).then(|| item.get("id")?.as_str())?
}

/// The item `id` of a `response`, as a later `input` has it: empty where only its provider's memory holds it.
pub fn item(response: &str, id: &str) -> Option<Vec<u8>> {
    let Response { output, .. } = serde_json::from_str(response).ok()?;
    let item = output.into_iter().find(|item| item["id"] == id)?;
    Some(replayed(item).map_or_else(Vec::new, |item| item.to_string().into_bytes()))
}

/// The `response` object that ends an answer, where `bytes`, a whole reply or frames of a stream, hold it.
pub fn ended(bytes: &[u8]) -> Option<&str> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        object: &'a str,
        status: &'a str,
    }
    #[derive(Deserialize)]
    struct Event<'a> {
        r#type: &'a str,
        #[serde(borrow)]
        response: Option<&'a RawValue>,
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if text.trim_ascii_start().starts_with('{') {
        let whole: Whole<'_> = serde_json::from_str(text).ok()?;
        let is_whole = whole.object == "response" && matches!(whole.status, "completed" | "incomplete");
        return is_whole.then_some(text);
    }
    let is_last = |line: &&str| line.contains("response.completed") || line.contains("response.incomplete");
    let lines = text.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:")).filter(is_last);
    lines.filter_map(|line| serde_json::from_str::<Event<'_>>(line).ok()).find_map(|event| match event.r#type {
        "response.completed" | "response.incomplete" => event.response.map(RawValue::get),
        _ => None,
    })
}

/// The id of a `response`, and its items as a later `input` has them: without ids of their own, which stand for what a
/// provider keeps, and without thoughts that only their provider's memory holds.
pub fn said(response: &str) -> Option<(String, Vec<u8>)> {
    let Response { id, output } = serde_json::from_str(response).ok()?;
    let items: Vec<String> = output.into_iter().filter_map(replayed).map(|item| item.to_string()).collect();
    Some((id, items.join(",").into_bytes()))
}

#[derive(Deserialize)]
struct Response {
    id: String,
    output: Vec<Value>,
}

fn replayed(mut item: Value) -> Option<Value> {
    let kind = item["type"].as_str().unwrap_or_default().to_owned();
    let members = item.as_object_mut()?;
    match kind.as_str() {
        "message" => {
            members.shift_remove("id");
            members.shift_remove("status");
            for part in members.get_mut("content").and_then(Value::as_array_mut).into_iter().flatten() {
                part.as_object_mut()?.shift_remove("logprobs");
            }
        }
        "function_call" => {
            members.shift_remove("id");
            members.shift_remove("status");
        }
        "reasoning" => {
            members.get("encrypted_content").and_then(Value::as_str)?;
            members.shift_remove("status");
        }
        _ => {}
    }
    Some(item)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn expanded(body: &str, turns: &[&str]) -> String {
        let json = Json::parse(body.as_bytes()).unwrap();
        String::from_utf8(continued(body.as_bytes(), &json, turns.iter().map(|turn| turn.as_bytes()))).unwrap()
    }

    #[test]
    fn earlier_turns_come_before_the_input_and_all_else_stays_as_it_was() {
        let turns = [r#"{"a":1},{"b":2}"#, "", r#"{"c":3}"#];
        assert_eq!(
            expanded(r#"{ "input" : "h\u0069", "previous_response_id":"resp_1" , "x": 1.50}"#, &turns),
            r#"{ "input" : [{"a":1},{"b":2},{"c":3},{"type":"message","role":"user","content":"h\u0069"}], "previous_response_id":null , "x": 1.50}"#
        );
        assert_eq!(
            expanded(r#"{"previous_response_id":"r","input":[ {"d": 4} ]}"#, &turns),
            r#"{"previous_response_id":null,"input":[{"a":1},{"b":2},{"c":3},{"d": 4}]}"#
        );
        assert_eq!(expanded(r#"{"input":[]}"#, &[r#"{"a":1}"#]), r#"{"input":[{"a":1}]}"#);
        assert_eq!(expanded(r#"{"input":7}"#, &turns), r#"{"input":7}"#);
    }

    #[test]
    fn the_end_is_found_in_a_whole_reply_and_in_the_last_event_and_nowhere_else() {
        let whole = r#" {"object":"response","status":"completed","id":"r"}"#;
        assert_eq!(ended(whole.as_bytes()), Some(whole));
        let event =
            |kind: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"response\":{{\"id\":\"r\"}}}}\n\n");
        let stream = event("response.created") + &event("response.incomplete");
        assert_eq!(ended(stream.as_bytes()), Some(r#"{"id":"r"}"#));
        let words = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}\n\n";
        let failed = r#"{"object":"response","status":"failed"}"#;
        assert_eq!([ended(event("response.created").as_bytes()), ended(words.as_bytes())], [None, None]);
        assert_eq!([ended(failed.as_bytes()), ended(b"\xff"), ended(b"")], [None, None, None]);
    }

    #[test]
    fn what_was_said_is_kept_without_what_only_a_providers_memory_holds() {
        let response = json!({"id": "resp_1", "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "seal", "status": "completed"},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"}]});
        let (id, items) = said(&response.to_string()).unwrap();
        let items: Value = serde_json::from_slice(&[b"[", items.as_slice(), b"]"].concat()).unwrap();
        assert_eq!(id, "resp_1");
        assert_eq!(
            items,
            json!([
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "seal"},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "hi", "annotations": []}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"}])
        );
    }

    #[test]
    fn items_stand_where_they_were_referred_to_and_all_else_stays_as_it_was() {
        let answer = json!({"id": "resp_1", "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": []}]});
        let find = |id: &str| if id == "gone" { Err(()) } else { Ok(item(&answer.to_string(), id)) };
        let told = |body: &str| {
            let json = Json::parse(body.as_bytes()).unwrap();
            resolved(body.as_bytes(), &json, find).map(|body| String::from_utf8(body).unwrap())
        };
        let reference = |id: &str| format!(r#"{{"type":"item_reference", "id":"{id}"}}"#);
        let body = format!(
            r#"{{ "input" : [{}, {{"x": 1.50}},{}, {}] }}"#,
            reference("rs_1"),
            reference("msg_1"),
            reference("other")
        );
        let message = r#"{"type":"message","role":"assistant","content":[]}"#;
        let expected = format!(r#"{{ "input" : [{{"x": 1.50}},{message},{}] }}"#, reference("other"));
        assert_eq!(told(&body), Ok(expected));
        assert_eq!(told(r#"{"input":"item_reference"}"#).unwrap(), r#"{"input":"item_reference"}"#);
        assert_eq!(told(&format!(r#"{{"input":[{}]}}"#, reference("gone"))), Err(()));
    }

    #[test]
    fn ids_tell_which_answer_of_ours_an_item_is_of() {
        let id = "01M8KS1N32DDBG3XVPWFRNAYPX";
        assert_eq!(answer_of(&format!("msg_{id}_0")), Some(format!("resp_{id}")));
        assert_eq!(answer_of(&format!("rs_{id}_12")), Some(format!("resp_{id}")));
        for other in [
            "",
            "msg_1",
            "msg_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654",
            &format!("msg_{id}"),
            &format!("msg_{id}_x"),
        ] {
            assert_eq!(answer_of(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_through_as_it_was(text in any::<String>(), before in any::<String>()) {
            let body = json!({"input": text, "previous_response_id": "r"}).to_string();
            let turn = json!({"role": "user", "content": before}).to_string();
            let whole: Value = serde_json::from_str(&expanded(&body, &[&turn])).unwrap();
            prop_assert_eq!(whole["input"][0]["content"].as_str(), Some(before.as_str()));
            prop_assert_eq!(whole["input"][1]["content"].as_str(), Some(text.as_str()));
        }
    }
}
