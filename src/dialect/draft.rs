//! A request in the making: what the decoders of all client dialects have in common.

use std::ops::Range;

use super::edit::{CapPoint, EditPoints};
use super::field::{At, key_span, says_something, verbatim};
use super::walk::Parts;
use super::{BadRequest, Decoded, Dialect, Feature, Uses};
use crate::chat::json::Member;
use crate::chat::{ChatRequest, Json, Source, Streaming, Text};

/// The field that says how fast, at which price.
pub const SERVICE_TIER: &str = "service_tier";
/// Longest model name.
const MAX_MODEL: usize = 256;

/// What was understood of a body so far.
#[derive(Default)]
pub struct Draft<'a> {
    body: &'a [u8],
    /// What detectors look at.
    pub parts: Parts<'a>,
    /// What is asked.
    pub request: ChatRequest,
    /// What a destination must be able to do.
    pub uses: Uses,
    /// Where the body can be edited.
    pub points: EditPoints,
    /// Whether the answer is to be streamed.
    pub streams: bool,
    unsaid: Vec<&'static str>,
}

impl<'a> Draft<'a> {
    /// Of `json`, an object that was parsed from `body`.
    pub fn new(body: &'a [u8], json: &Json<'_>) -> Self {
        let points = EditPoints { open: json.span.start + 1, ..EditPoints::default() };
        Self { body, points, ..Self::default() }
    }

    /// The request, in which `conversation` is the field that must not be empty.
    ///
    /// # Errors
    /// What is missing, or cannot be looked into.
    pub fn decoded(self, dialect: Dialect, conversation: &str) -> Result<Decoded<'a>, BadRequest> {
        if self.request.model.is_empty() {
            return Err(At::ROOT.key("model").missing());
        }
        if self.request.messages.is_empty() {
            return Err(At::ROOT.key(conversation).missing());
        }
        let Self { mut request, uses, points: edits, unsaid, .. } = self;
        request.task = dialect.task();
        if !request.task.generates() {
            request.sampling.max_tokens = Some(0);
        }
        Ok(Decoded { dialect, request, parts: self.parts.whole()?, uses, edits, unsaid })
    }

    /// Understands `model`.
    pub fn model(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        if json.is_null() {
            return Err(at.missing());
        }
        let model = at.filled(json)?;
        if model.len() > MAX_MODEL {
            return Err(at.invalid(format_args!("have at most {MAX_MODEL} bytes")));
        }
        self.points.model = Some(json.span.clone());
        self.request.model = model.to_owned();
        self.parts.text(model, Source::Parameter);
        Ok(())
    }

    /// Understands `stream`.
    pub fn stream(&mut self, at: &At<'_>, json: &Json<'_>) -> Result<(), BadRequest> {
        self.points.stream = Some(json.span.clone());
        self.streams = !json.is_null() && at.boolean(json)?;
        if self.streams {
            self.uses.insert(Feature::Stream);
        }
        Ok(())
    }

    /// Whether and how the answer is streamed; `usage` is what `stream_options` says, if anything.
    ///
    /// # Errors
    /// Options of a stream where there is none.
    pub fn streaming(&self, usage: Option<bool>) -> Result<Streaming, BadRequest> {
        match (self.streams, usage) {
            (true, usage) => Ok(Streaming::On { usage: usage.unwrap_or(false) }),
            (false, None) => Ok(Streaming::Off),
            (false, Some(_)) => Err(At::ROOT.key("stream_options").invalid("come with `stream: true`")),
        }
    }

    /// Understands a cap on the answer in tokens, whose key stands at `key`.
    pub fn cap(&mut self, at: &At<'_>, key: Range<usize>, json: &'a Json<'a>) -> Result<CapPoint, BadRequest> {
        let value = if json.is_null() { None } else { Some(at.count(json, 1..=u32::MAX)?) };
        self.parts.tree(json, Source::Parameter);
        self.request.sampling.max_tokens = value.or(self.request.sampling.max_tokens);
        Ok(CapPoint { key, span: json.span.clone(), value })
    }

    /// Understands whom the application asks for.
    pub fn end_user(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<(), BadRequest> {
        if !json.is_null() {
            let user = at.string(json)?;
            self.parts.text(user, Source::Metadata);
            self.request.end_user = Some(user.into());
        }
        Ok(())
    }

    /// Understands the name, or the id, of something.
    pub fn name(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<String, BadRequest> {
        let name = at.filled(json)?;
        self.parts.text(name, Source::Name);
        Ok(name.to_owned())
    }

    /// Understands OpenAI's `service_tier`, which has a neutral word only where it says that the request may wait.
    pub fn service_tier(&mut self, json: &Json<'_>) {
        self.request.flex = json.as_str() == Some("flex");
        self.unsaid(SERVICE_TIER);
    }

    /// A field that the dialect does not know.
    pub fn unknown(&mut self, key: &'a str, value: &'a Json<'a>) {
        self.parts.text(key, Source::Unknown);
        self.parts.tree(value, Source::Unknown);
        self.unknown_value(value);
    }

    /// The value of a field that the dialect does not know, and that is a part already.
    pub fn unknown_value(&mut self, value: &Json<'_>) {
        if says_something(value) {
            self.uses.insert(Feature::UnknownFields);
        }
    }

    /// Notes a field that only this dialect has a word for.
    pub fn unsaid(&mut self, name: &'static str) {
        if !self.unsaid.contains(&name) {
            self.unsaid.push(name);
        }
    }

    /// The value as the client wrote it.
    pub fn verbatim(&self, json: &Json<'_>) -> Text {
        Text::new(verbatim(self.body, json))
    }

    /// As [`Self::verbatim`], borrowed from the body.
    pub fn bytes_of(&self, json: &Json<'_>) -> &'a str {
        verbatim(self.body, json)
    }
}

/// The members of `json`, an object that was parsed from `body`, each with where its key stands, quotes included.
///
/// # Errors
/// Where it is no object.
pub fn members<'a>(
    body: &'a [u8],
    json: &'a Json<'a>,
) -> Result<impl Iterator<Item = (Range<usize>, &'a Member<'a>)>, BadRequest> {
    let mut after = json.span.start + 1;
    Ok(At::ROOT.object(json)?.iter().map(move |member| {
        let key = key_span(body, after..member.value.span.start);
        after = member.value.span.end;
        (key, member)
    }))
}
