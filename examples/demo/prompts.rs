//! The prompts of `prompts.yaml`, read with ajar's own strict YAML.

use ajar::yaml::{Fields, Problems, parse};
use serde_json::{Value, json};

const FILE: &str = include_str!("prompts.yaml");
/// Longest answer asked for, in tokens: enough to see that something is said.
const MAX_TOKENS: u64 = 100;

/// One request of the demo.
pub struct Prompt {
    pub id: String,
    /// What it is there to show.
    pub shows: String,
    pub expect: Expect,
    pub text: String,
    stream: bool,
    json: bool,
    temperature: Option<f64>,
    max_tokens: u64,
}

/// Where a prompt must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// To the local model, by choice.
    Local,
    /// To the closed model.
    Closed,
    /// To the local model, as nobody else may see it.
    Private,
    /// Nowhere: it was answered before.
    Cache,
}

impl Prompt {
    /// All, in order.
    ///
    /// # Errors
    /// Every mistake in the file.
    pub fn all() -> Result<Vec<Self>, Problems> {
        let root = parse("examples/demo/prompts.yaml", FILE)?;
        let mut problems = Problems::new();
        let items = root.list(&mut problems).unwrap_or_default();
        let prompts = items
            .iter()
            .filter_map(|item| {
                let mut fields = Fields::of(item, "a prompt", &mut problems)?;
                let prompt = Self::read(&mut fields, &mut problems);
                fields.finish(&mut problems);
                prompt
            })
            .collect();
        problems.or_ok(prompts)
    }

    fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let mut text = |key| fields.required(key, problems)?.text(problems).map(str::to_owned);
        let (id, shows, prompt) = (text("id"), text("shows"), text("prompt"));
        let expect = fields.required("expect", problems)?.one_of(&Expect::NAMES, problems);
        let mut flag = |key| fields.optional(key).and_then(|node| node.flag(problems)).unwrap_or(false);
        let (stream, json) = (flag("stream"), flag("json"));
        let temperature = fields.optional("temperature").and_then(|node| node.number(problems));
        let max_tokens = fields.optional("max_tokens").and_then(|node| node.whole(problems)).unwrap_or(MAX_TOKENS);
        Some(Self { id: id?, shows: shows?, expect: expect?, text: prompt?, stream, json, temperature, max_tokens })
    }

    /// The request's body, as an application would send it.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "model": "auto",
            "messages": [{ "role": "user", "content": self.text }],
            "max_tokens": self.max_tokens,
            "stream": self.stream,
        });
        if let Some(temperature) = self.temperature {
            body["temperature"] = temperature.into();
        }
        if self.json {
            body["response_format"] = json!({ "type": "json_object" });
        }
        body
    }
}

impl Expect {
    const NAMES: [(&'static str, Self); 4] =
        [("local", Self::Local), ("closed", Self::Closed), ("private", Self::Private), ("cache", Self::Cache)];
}
