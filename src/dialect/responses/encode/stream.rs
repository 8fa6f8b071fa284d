//! Deltas as typed events.

use bytes::BytesMut;
use serde::Serialize;
use serde_json::value::RawValue;

use super::item::{Item, Logprob, Part, Summary, ended};
use super::{Head, State, frame};
use crate::chat::reply::TokenLogprob;
use crate::chat::text::redacted;
use crate::chat::{Delta, FinishReason, Usage};
use crate::dialect::AnswerMeta;

/// Turns deltas into the events of a stream.
#[derive(Clone)]
pub struct StreamEncoder {
    head: Head,
    /// The number of the next event.
    next: u64,
    items: Vec<Item>,
    /// The thought or message that goes on.
    open: Option<Open>,
    /// The number of each call that has not ended, and where its item is. Providers may tell of several at once.
    calls: Vec<(u32, usize)>,
    finish: FinishReason,
    usage: Option<Usage>,
}

impl std::fmt::Debug for StreamEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        redacted(f, "StreamEncoder", self.items.len())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Thought,
    Message { refusal: bool },
}

#[derive(Serialize)]
struct Event<T> {
    r#type: &'static str,
    sequence_number: u64,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct Whole<'a> {
    response: &'a RawValue,
}

#[derive(Serialize)]
struct OfItem<'a> {
    output_index: usize,
    item: &'a Item,
}

/// A piece of an item: `part` or what is in it.
#[derive(Serialize)]
struct Piece<'a, T> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum What<'a> {
    Part(&'a Part),
    #[serde(rename = "part")]
    Summary(&'a Summary),
    Delta(&'a str),
    Text(&'a str),
    Refusal(&'a str),
    Arguments(&'a str),
}

#[derive(Serialize)]
struct Likely<'a> {
    #[serde(flatten)]
    what: What<'a>,
    logprobs: &'a [Logprob],
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(meta: &AnswerMeta<'_>) -> Self {
        Self {
            head: Head::new(meta),
            next: 0,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: None,
        }
    }

    /// Appends the events for `delta`. The dialect has one choice.
    pub fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        self.begin(out);
        match delta {
            Delta::Text { index: 0, text, logprobs } => self.text(text.expose(), logprobs, out),
            Delta::Refusal { index: 0, text } => self.refusal(text.expose(), out),
            Delta::Thought { index: 0, text } => self.thought(text.expose(), out),
            Delta::Sealed { index: 0, seal, id } => {
                self.sealed(seal.expose(), id.as_ref().map(|id| id.expose()), out);
            }
            Delta::Call { index: 0, call, id, name } => self.call(*call, id, name, out),
            Delta::Arguments { index: 0, call, text } => self.arguments(*call, text.expose(), out),
            Delta::Finish { index: 0, reason } => self.finish(*reason, out),
            Delta::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
    }

    /// Appends the end of a complete stream.
    pub fn done(&mut self, out: &mut BytesMut) {
        self.begin(out);
        self.finish(self.finish, out);
        let state = State::Ended(self.finish);
        let kind = if state.incomplete().is_some() { "response.incomplete" } else { "response.completed" };
        self.whole(kind, state, out);
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if self.next == 0 {
            self.whole("response.created", State::InProgress, out);
            self.whole("response.in_progress", State::InProgress, out);
        }
    }

    fn whole(&mut self, kind: &'static str, state: State, out: &mut BytesMut) {
        let response = self.head.response(state, &self.items, self.usage);
        if let Ok(response) = serde_json::from_str::<&RawValue>(&response) {
            self.event(kind, Whole { response }, out);
        }
    }

    fn event<T: Serialize>(&mut self, kind: &'static str, fields: T, out: &mut BytesMut) {
        frame(kind, &Event { r#type: kind, sequence_number: self.next, fields }, out);
        self.next += 1;
    }

    /// An event about an item itself.
    fn of_item(&mut self, kind: &'static str, index: usize, out: &mut BytesMut) {
        let fields = OfItem { output_index: index, item: &self.items[index] };
        frame(kind, &Event { r#type: kind, sequence_number: self.next, fields }, out);
        self.next += 1;
    }

    /// An event about a piece of the item at `index`.
    fn piece<T: Serialize>(&mut self, kind: &'static str, index: usize, at: At, what: T, out: &mut BytesMut) {
        let id = self.items[index].id().to_owned();
        let (content_index, summary_index) = match at {
            At::Content(part) => (Some(part), None),
            At::Summary => (None, Some(0)),
            At::Item => (None, None),
        };
        self.event(kind, Piece { item_id: &id, output_index: index, content_index, summary_index, what }, out);
    }

    fn add(&mut self, item: Item, out: &mut BytesMut) -> usize {
        let index = self.items.len();
        self.items.push(item);
        self.of_item("response.output_item.added", index, out);
        index
    }

    fn text(&mut self, text: &str, logprobs: &[TokenLogprob], out: &mut BytesMut) {
        let (index, part) = self.message(false, out);
        let likely: Vec<Logprob> = logprobs.iter().map(Into::into).collect();
        let what = Likely { what: What::Delta(text), logprobs: &likely };
        self.piece("response.output_text.delta", index, At::Content(part), what, out);
        if let Some(Part::OutputText { text: all, logprobs, .. }) = self.part(index) {
            all.push_str(text);
            logprobs.extend(likely);
        }
    }

    fn refusal(&mut self, text: &str, out: &mut BytesMut) {
        let (index, part) = self.message(true, out);
        self.piece("response.refusal.delta", index, At::Content(part), What::Delta(text), out);
        if let Some(Part::Refusal { refusal }) = self.part(index) {
            refusal.push_str(text);
        }
    }

    /// The last part of a message.
    fn part(&mut self, index: usize) -> Option<&mut Part> {
        match &mut self.items[index] {
            Item::Message { content, .. } => content.last_mut(),
            Item::Reasoning { .. } | Item::FunctionCall { .. } => None,
        }
    }

    /// The message that goes on, and its part of this kind; begun where there is none.
    fn message(&mut self, refusal: bool, out: &mut BytesMut) -> (usize, usize) {
        let wanted = Open::Message { refusal };
        if self.open != Some(wanted) {
            match self.open {
                Some(Open::Message { .. }) => self.end_part(out),
                Some(Open::Thought) | None => {
                    self.close("completed", out);
                    let id = self.head.item_id("msg", self.items.len());
                    self.add(Item::message(id), out);
                }
            }
            self.open = Some(wanted);
            self.begin_part(Part::empty(refusal), out);
        }
        let index = self.last_open();
        let Item::Message { content, .. } = &self.items[index] else { return (index, 0) };
        (index, content.len().saturating_sub(1))
    }

    /// Where the item is that goes on: calls may have been added since, but they close it.
    fn last_open(&self) -> usize {
        self.items.len().saturating_sub(1)
    }

    fn begin_part(&mut self, part: Part, out: &mut BytesMut) {
        let index = self.last_open();
        let Item::Message { content, .. } = &mut self.items[index] else { return };
        let at = At::Content(content.len());
        content.push(part.clone());
        self.piece("response.content_part.added", index, at, What::Part(&part), out);
    }

    fn end_part(&mut self, out: &mut BytesMut) {
        let index = self.last_open();
        let Item::Message { content, .. } = &self.items[index] else { return };
        let at = At::Content(content.len().saturating_sub(1));
        let Some(part) = content.last().cloned() else { return };
        match &part {
            Part::OutputText { text, logprobs, .. } => {
                let what = Likely { what: What::Text(text), logprobs };
                self.piece("response.output_text.done", index, at, what, out);
            }
            Part::Refusal { refusal } => {
                self.piece("response.refusal.done", index, at, What::Refusal(refusal), out);
            }
        }
        self.piece("response.content_part.done", index, at, What::Part(&part), out);
    }

    fn thought(&mut self, text: &str, out: &mut BytesMut) {
        if self.open != Some(Open::Thought) {
            self.close("completed", out);
            let id = self.head.item_id("rs", self.items.len());
            let index = self.add(Item::reasoning(id), out);
            self.open = Some(Open::Thought);
            let part = Summary::SummaryText { text: String::new() };
            self.piece("response.reasoning_summary_part.added", index, At::Summary, What::Summary(&part), out);
            if let Item::Reasoning { summary, .. } = &mut self.items[index] {
                summary.push(part);
            }
        }
        let index = self.last_open();
        self.piece("response.reasoning_summary_text.delta", index, At::Summary, What::Delta(text), out);
        if let Item::Reasoning { summary, .. } = &mut self.items[index]
            && let Some(Summary::SummaryText { text: all }) = summary.last_mut()
        {
            all.push_str(text);
        }
    }

    fn sealed(&mut self, seal: &str, id: Option<&str>, out: &mut BytesMut) {
        if self.open != Some(Open::Thought) {
            self.close("completed", out);
            let id = id.map_or_else(|| self.head.item_id("rs", self.items.len()), str::to_owned);
            self.add(Item::reasoning(id), out);
            self.open = Some(Open::Thought);
        }
        let index = self.last_open();
        if let Item::Reasoning { encrypted_content, .. } = &mut self.items[index] {
            *encrypted_content = Some(seal.to_owned());
        }
        self.close("completed", out);
    }

    fn end_thought(&mut self, out: &mut BytesMut) {
        let index = self.last_open();
        let Item::Reasoning { summary, .. } = &self.items[index] else { return };
        let Some(part) = summary.last().cloned() else { return };
        let Summary::SummaryText { text } = &part;
        self.piece("response.reasoning_summary_text.done", index, At::Summary, What::Text(text), out);
        self.piece("response.reasoning_summary_part.done", index, At::Summary, What::Summary(&part), out);
    }

    fn call(&mut self, call: u32, call_id: &str, name: &str, out: &mut BytesMut) {
        self.close("completed", out);
        self.end_whole_calls(out);
        let id = self.head.item_id("fc", self.items.len());
        let index = self.add(Item::call(id, call_id.to_owned(), name.to_owned()), out);
        self.calls.push((call, index));
    }

    fn arguments(&mut self, call: u32, text: &str, out: &mut BytesMut) {
        let Some((_, index)) = self.calls.iter().rfind(|(number, _)| *number == call).copied() else { return };
        self.piece("response.function_call_arguments.delta", index, At::Item, What::Delta(text), out);
        if let Item::FunctionCall { arguments, .. } = &mut self.items[index] {
            arguments.push_str(text);
        }
    }

    /// Ends the thought or message that goes on.
    fn close(&mut self, how: &'static str, out: &mut BytesMut) {
        match self.open {
            Some(Open::Message { .. }) => self.end_part(out),
            Some(Open::Thought) => self.end_thought(out),
            None => return,
        }
        self.open = None;
        self.end_item(self.last_open(), how, out);
    }

    fn end_item(&mut self, index: usize, how: &'static str, out: &mut BytesMut) {
        self.items[index].end(how);
        self.of_item("response.output_item.done", index, out);
    }

    fn end_call(&mut self, index: usize, how: &'static str, out: &mut BytesMut) {
        let Item::FunctionCall { arguments, .. } = &self.items[index] else { return };
        let arguments = arguments.clone();
        self.piece("response.function_call_arguments.done", index, At::Item, What::Arguments(&arguments), out);
        self.end_item(index, how, out);
    }

    /// Ends the calls that nothing can be added to, so that clients may make them before the answer ends.
    fn end_whole_calls(&mut self, out: &mut BytesMut) {
        let calls = std::mem::take(&mut self.calls).into_iter();
        let (whole, open): (Vec<_>, Vec<_>) = calls.partition(|(_, index)| self.items[*index].is_whole_call());
        self.calls = open;
        whole.into_iter().for_each(|(_, index)| self.end_call(index, "completed", out));
    }

    fn finish(&mut self, reason: FinishReason, out: &mut BytesMut) {
        self.finish = reason;
        let last = self.items.len().saturating_sub(1);
        self.close(ended(reason), out);
        for (_, index) in std::mem::take(&mut self.calls) {
            self.end_call(index, if index == last { ended(reason) } else { "completed" }, out);
        }
    }
}

/// Where in an item a piece is.
#[derive(Clone, Copy)]
enum At {
    Content(usize),
    Summary,
    Item,
}
