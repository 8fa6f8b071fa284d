//! Content blocks, as they begin, grow and end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{Delta, Text};
use crate::dialect::anthropic::seal::Seal;

/// The choice: the dialect has one.
const INDEX: u32 = 0;

#[derive(Deserialize)]
pub struct WireBlock<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    data: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub struct WireDelta<'a> {
    #[serde(default, borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    partial_json: Option<Cow<'a, str>>,
}

/// The blocks that have begun and not ended.
#[derive(Debug, Default)]
pub struct Blocks {
    open: BTreeMap<u64, Open>,
    calls: u32,
}

enum Open {
    Text,
    /// With its signature, once that is there.
    Thinking(Text),
    /// A call, and its arguments where they stood in its beginning and have not been passed on.
    Tool {
        call: u32,
        input: Option<Text>,
    },
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "Text",
            Self::Thinking(_) => "Thinking",
            Self::Tool { .. } => "Tool",
        })
    }
}

impl Blocks {
    /// A block begins. One of a kind that has no neutral word, such as the call of a provider's own tool, is passed over.
    pub fn start(&mut self, index: u64, block: WireBlock<'_>, out: &mut Vec<Delta>) {
        let open = match block.r#type.as_ref() {
            "text" => {
                out.extend(said(block.text));
                Open::Text
            }
            "thinking" => {
                out.extend(thought(block.thinking));
                Open::Thinking(text(block.signature))
            }
            "redacted_thinking" => {
                let seal = Seal::Redacted(&block.data.unwrap_or_default()).text();
                out.push(Delta::Sealed { index: INDEX, seal, id: None });
                return;
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let (id, name) =
                    (block.id.unwrap_or_default().into_owned(), block.name.unwrap_or_default().into_owned());
                out.push(Delta::Call { index: INDEX, call, id, name });
                Open::Tool { call, input: Some(block.input.map_or("{}", RawValue::get).into()) }
            }
            _ => return,
        };
        self.open.insert(index, open);
    }

    /// A block grows.
    pub fn more(&mut self, index: u64, delta: WireDelta<'_>, out: &mut Vec<Delta>) {
        match self.open.get_mut(&index) {
            Some(Open::Text) => out.extend(said(delta.text)),
            Some(Open::Thinking(signature)) => {
                out.extend(thought(delta.thinking));
                if delta.signature.is_some() {
                    *signature = text(delta.signature);
                }
            }
            Some(Open::Tool { call, input }) => {
                let more = delta.partial_json.filter(|json| !json.is_empty());
                out.extend(more.map(|json| {
                    *input = None;
                    Delta::Arguments { index: INDEX, call: *call, text: json.into_owned().into() }
                }));
            }
            None => {}
        }
    }

    /// A block ends.
    pub fn stop(&mut self, index: u64, out: &mut Vec<Delta>) {
        match self.open.remove(&index) {
            Some(Open::Thinking(signature)) if !signature.is_empty() => {
                let seal = Seal::Signature(signature.expose()).text();
                out.push(Delta::Sealed { index: INDEX, seal, id: None });
            }
            Some(Open::Tool { call, input: Some(text) }) => out.push(Delta::Arguments { index: INDEX, call, text }),
            Some(Open::Text | Open::Thinking(_) | Open::Tool { .. }) | None => {}
        }
    }
}

fn text(text: Option<Cow<'_, str>>) -> Text {
    text.unwrap_or_default().into_owned().into()
}

fn said(text: Option<Cow<'_, str>>) -> Option<Delta> {
    let text = text.filter(|text| !text.is_empty())?;
    Some(Delta::Text { index: INDEX, text: text.into_owned().into(), logprobs: Vec::new() })
}

fn thought(text: Option<Cow<'_, str>>) -> Option<Delta> {
    let text = text.filter(|text| !text.is_empty())?;
    Some(Delta::Thought { index: INDEX, text: text.into_owned().into() })
}
