//! Requests and answers as golden files show them: readable, and the same in every run.

use std::collections::HashMap;
use std::fmt::Write as _;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::harness::Reply;
use crate::sim::Received;

/// What one pair of dialects said to each other.
#[derive(Default)]
pub struct Page(String);

/// Headers that tell a provider how to read a request.
const TOLD: [&str; 3] = ["anthropic-version", "anthropic-beta", "idempotency-key"];

impl Page {
    pub fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        writeln!(self.0, "{gap}######## {name}").unwrap();
    }

    /// A request as the provider got it.
    pub fn received(&mut self, request: &Received) {
        writeln!(self.0, "-------- provider gets: {} {}", request.method, request.path).unwrap();
        for name in TOLD {
            for value in request.headers.get_all(name) {
                writeln!(self.0, "{name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        self.document(&request.body);
    }

    /// An answer as the client got it.
    pub fn answered(&mut self, reply: &Reply) {
        let kind = reply.header("content-type");
        writeln!(self.0, "-------- client gets: {} {kind}", reply.status).unwrap();
        for name in ["x-ajar-warning", "x-ajar-reason"] {
            let value = reply.header(name);
            if !value.is_empty() {
                writeln!(self.0, "{name}: {value}").unwrap();
            }
        }
        match kind {
            "text/event-stream" => self.0.push_str(reply.text().trim_end_matches('\n')),
            _ => return self.document(&reply.body),
        }
        self.0.push('\n');
    }

    /// JSON in lines, as it was where its keys are in order.
    fn document(&mut self, bytes: &[u8]) {
        let json: Value = serde_json::from_slice(bytes).expect("bodies are JSON");
        writeln!(self.0, "{}", serde_json::to_string_pretty(&json).unwrap()).unwrap();
    }

    /// All of it, ids numbered by where they first stand, and times left out.
    pub fn text(&self) -> String {
        let id = Regex::new("(call_)[0-9a-f]{24}|()[0-9A-HJKMNP-TV-Z]{26}").unwrap();
        let mut known = HashMap::new();
        let text = id.replace_all(&self.0, |found: &Captures<'_>| {
            let next = known.len() + 1;
            let kind = found.get(1).map_or("", |kind| kind.as_str());
            format!("{kind}<id {}>", known.entry(found[0].to_owned()).or_insert(next))
        });
        let time = Regex::new(r#"("(?:created|created_at|completed_at)": ?)[0-9]{9,}(?:\.0)?"#).unwrap();
        time.replace_all(&text, "${1}<time>").into_owned()
    }
}
