//! `GET /v1/responses/{id}/input_items`: what a kept answer was given, a page at a time.

use serde_json::{Value, json};

/// Items on a page unless the client says otherwise, and at most.
const USUAL: usize = 20;
const MOST: usize = 100;

/// Which items are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many at most.
    pub limit: usize,
    /// Whether the latest comes first.
    pub descending: bool,
    /// The item after which the page begins.
    pub after: Option<String>,
}

impl Page {
    /// What the query of a URL asks for; `None` where it asks for what there is not.
    pub fn of(query: &str) -> Option<Self> {
        let mut page = Self { limit: USUAL, descending: true, after: None };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => page.limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit))?,
                "order" => page.descending = ["asc", "desc"].iter().position(|order| *order == value)? == 1,
                "after" => page.after = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(page)
    }
}

/// The page of what was said in `turns`, which are items with commas between; `None` where nothing has the id that it is to
/// begin after.
pub fn input_items<'t>(turns: impl IntoIterator<Item = &'t [u8]>, page: &Page) -> Option<Vec<u8>> {
    let mut items: Vec<Value> = turns.into_iter().flat_map(read).enumerate().map(|(at, item)| told(at, item)).collect();
    if page.descending {
        items.reverse();
    }
    let from = match &page.after {
        Some(after) => items.iter().position(|item| item["id"] == after.as_str())? + 1,
        None => 0,
    };
    let has_more = items.len() - from > page.limit;
    let data: Vec<Value> = items.into_iter().skip(from).take(page.limit).collect();
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    let list = json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more});
    Some(list.to_string().into_bytes())
}

/// The items of a turn.
fn read(turn: &[u8]) -> Vec<Value> {
    serde_json::from_slice(&[b"[", turn, b"]"].concat()).unwrap_or_default()
}

/// An item as it is listed: with an id, and a message's text as a part.
fn told(at: usize, mut item: Value) -> Value {
    let is_message = item.get("type").is_none_or(|kind| kind == "message") && item.get("role").is_some();
    let Some(members) = item.as_object_mut() else { return item };
    if is_message {
        members.insert("type".to_owned(), "message".into());
        members.entry("status").or_insert_with(|| "completed".into());
        let kind =
            if members.get("role").is_some_and(|role| role == "assistant") { "output_text" } else { "input_text" };
        if let Some(content) = members.get_mut("content").filter(|content| content.is_string()) {
            *content = json!([{"type": kind, "text": content.take()}]);
        }
    }
    if members.get("id").is_none_or(Value::is_null) {
        let prefix = if is_message { "msg" } else { "item" };
        members.insert("id".to_owned(), format!("{prefix}_{at}").into());
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: [&[u8]; 3] = [
        br#"{"role":"user","content":"a"},{"type":"function_call","id":"fc_9","call_id":"c","name":"f","arguments":"{}"}"#,
        b"",
        br#"{"role":"assistant","content":"b"},{"type":"function_call_output","call_id":"c","output":"1"}"#,
    ];

    fn listed(query: &str) -> Value {
        serde_json::from_slice(&input_items(TURNS, &Page::of(query).unwrap()).unwrap()).unwrap()
    }

    fn ids(list: &Value) -> Vec<&str> {
        list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn items_come_latest_first_with_ids_and_texts_as_parts() {
        let list = listed("");
        assert_eq!(ids(&list), ["item_3", "msg_2", "fc_9", "msg_0"]);
        assert_eq!(
            (&list["first_id"], &list["last_id"], &list["has_more"]),
            (&json!("item_3"), &json!("msg_0"), &json!(false))
        );
        assert_eq!(
            list["data"][3],
            json!({"id": "msg_0", "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_text", "text": "a"}]})
        );
        assert_eq!(list["data"][1]["content"][0]["type"], "output_text");
    }

    #[test]
    fn pages_follow_one_another() {
        let first = listed("order=asc&limit=3");
        assert_eq!((ids(&first), &first["has_more"]), (vec!["msg_0", "fc_9", "msg_2"], &json!(true)));
        let second = listed("order=asc&limit=3&after=msg_2");
        assert_eq!((ids(&second), &second["has_more"]), (vec!["item_3"], &json!(false)));
        assert_eq!(input_items(TURNS, &Page::of("after=none").unwrap()), None);
        let end = listed("after=msg_0");
        assert_eq!((ids(&end).len(), &end["first_id"]), (0, &Value::Null));
    }

    #[test]
    fn what_no_page_can_be_is_refused() {
        for query in ["limit=0", "limit=101", "limit=x", "order=up"] {
            assert_eq!(Page::of(query), None, "{query}");
        }
        assert!(Page::of("include[]=x&other").is_some());
    }
}
