//! Neutral answers as OpenAI's `response` objects.

mod echo;
mod item;
mod stream;

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

use self::item::{Item, items};
pub use self::stream::StreamEncoder;
use crate::chat::{FinishReason, Reply, Usage};
use crate::dialect::AnswerMeta;
use crate::dialect::error::ApiError;

/// A whole answer: a `response`.
pub fn encode_reply(meta: &AnswerMeta<'_>, reply: &Reply) -> Vec<u8> {
    let head = Head::new(meta);
    let choice = reply.choices.first().cloned().unwrap_or_default();
    let output = items(&head, &choice);
    head.response(State::Ended(choice.finish), &output, Some(reply.usage)).into()
}

/// Appends the last frame of a stream that failed after its first byte.
///
/// OpenAI's libraries raise what stands in `error`, others read the members beside it. How many events came before is
/// known to nobody here.
pub fn error_frame(error: &ApiError, out: &mut BytesMut) {
    #[derive(Serialize)]
    struct Failed<'a> {
        r#type: &'static str,
        sequence_number: u32,
        code: &'a str,
        message: &'a str,
        param: Option<&'a str>,
        error: &'a RawValue,
    }
    let mut envelope = BytesMut::new();
    error.write(crate::dialect::Dialect::Responses, &mut envelope);
    let inner = serde_json::from_slice::<Envelope<'_>>(&envelope).map_or(RawValue::NULL, |envelope| envelope.error);
    let (code, message, param) = (error.code, error.message.as_str(), error.param.as_deref());
    let failed = Failed { r#type: "error", sequence_number: 0, code, message, param, error: inner };
    frame("error", &failed, out);
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: &'a RawValue,
}

/// Appends an event of the type `kind`.
fn frame<T: Serialize>(kind: &str, data: &T, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\ndata: ");
    // Strings and numbers into memory: neither can fail.
    let _ = serde_json::to_writer((&mut *out).writer(), data);
    out.put_slice(b"\n\n");
}

/// What all `response` objects of one answer have in common.
#[derive(Clone, Debug)]
struct Head {
    id: String,
    created: i64,
    model: String,
    /// What was asked, as the dialect repeats it: members after a comma.
    echo: String,
}

impl Head {
    fn new(meta: &AnswerMeta<'_>) -> Self {
        let echo = meta.request.map(echo::members).unwrap_or_default();
        Self { id: meta.id.to_owned(), created: meta.created, model: meta.model.to_owned(), echo }
    }

    /// The id of the item at `index`, which begins with what kind it is.
    fn item_id(&self, kind: &str, index: usize) -> String {
        let own = self.id.strip_prefix("resp_").unwrap_or(&self.id);
        format!("{kind}_{own}_{index}")
    }

    /// The `response` object.
    fn response(&self, state: State, output: &[Item], usage: Option<Usage>) -> String {
        let response = Response {
            id: &self.id,
            object: "response",
            created_at: self.created,
            status: state.status(),
            background: false,
            error: None,
            incomplete_details: state.incomplete().map(|reason| Incomplete { reason }),
            model: &self.model,
            output,
            usage: usage.map(WireUsage::from),
        };
        // Strings and numbers into memory: it cannot fail.
        let mut object = serde_json::to_string(&response).unwrap_or_default();
        object.truncate(object.len().saturating_sub(1));
        object + &self.echo + "}"
    }
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug)]
enum State {
    InProgress,
    Ended(FinishReason),
}

impl State {
    fn status(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Ended(_) if self.incomplete().is_some() => "incomplete",
            Self::Ended(_) => "completed",
        }
    }

    /// Why it is not whole.
    fn incomplete(self) -> Option<&'static str> {
        match self {
            Self::Ended(FinishReason::Length) => Some("max_output_tokens"),
            Self::Ended(FinishReason::ContentFilter) => Some("content_filter"),
            Self::InProgress | Self::Ended(FinishReason::Stop | FinishReason::ToolCalls) => None,
        }
    }
}

#[derive(Serialize)]
struct Response<'a> {
    id: &'a str,
    object: &'static str,
    created_at: i64,
    status: &'static str,
    background: bool,
    error: Option<()>,
    incomplete_details: Option<Incomplete>,
    model: &'a str,
    output: &'a [Item],
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize)]
struct WireUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached_input,
                cache_write_tokens: usage.cache_write,
            },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
            total_tokens: usage.input.saturating_add(usage.output),
        }
    }
}

#[cfg(test)]
mod tests;
