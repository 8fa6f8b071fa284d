//! Conversation to tokens, through the model's own chat template, so that no text can pass for a control token.
//!
//! The template is rendered with a placeholder in place of whatever people wrote: contents, tools, calls and results. What the template wrote is then
//! tokenised with control tokens on, and what people wrote with control tokens off: `<|im_end|>` in a message is five
//! or so ordinary tokens. Some vocabularies have their markers as tokens that llama.cpp finds in any text: what people wrote
//! is cut within those.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;

use super::EngineError;
use super::model::{Prompt, Token};
use super::template::{ChatTemplate, Given, dump};
use super::thinking::Thinking;
use super::told::Told;
use super::tools::{
    ANGLED, CHANNELS, Held, MARKERS, Protocol, Reading, Texts, Thoughts, begun, offered, tool_values, turns,
};
use crate::chat::request::{ChatRequest, Function, Message, Role};
use crate::chat::{Task, Text};

/// Renders and tokenises conversations for one model.
pub(super) struct PromptWriter<'m> {
    model: &'m LlamaModel,
    template: ChatTemplate,
    /// How the template speaks of tools.
    protocol: Protocol,
    /// What the template knows of thinking.
    thinking: Thinking,
    /// What it writes around thoughts, if it knows of any.
    thoughts: Option<Thoughts>,
    /// What placeholders begin with: not to be guessed, so that no text can contain one.
    nonce: String,
    /// Bytes of the vocabulary's longest token.
    longest_token: usize,
    /// Most tokens worth tokenising for.
    context: usize,
    /// What the template, or ajar, writes as a token that llama.cpp finds in any text, control tokens on or off.
    markers: AhoCorasick,
}

/// A stretch of the prompt.
enum Stretch<'a> {
    /// Written by the template.
    Template(&'a str),
    /// The text of this number, as the template wants it.
    Text { number: usize, shape: Shape },
}

/// What a template does to a text.
#[derive(Clone, Copy)]
struct Shape {
    /// Whether it wants no blanks before it.
    trims_start: bool,
    /// Whether it wants no blanks behind it.
    trims_end: bool,
    /// How often it writes it as a JSON string in another.
    escapes: usize,
}

impl Shape {
    fn apply(self, text: &str) -> String {
        let text = if self.trims_start { text.trim_start() } else { text };
        let text = if self.trims_end { text.trim_end() } else { text };
        (0..self.escapes).fold(text.to_owned(), |text, _| {
            let quoted = dump(&text, None);
            quoted[1..quoted.len() - 1].to_owned()
        })
    }
}

/// How the probe around a placeholder is written after so many times of escaping, the longest last.
const PROBES: [&str; 3] = ["\t", "\\t", "\\\\t"];

impl<'m> PromptWriter<'m> {
    /// # Errors
    /// What is wrong with the model's chat template, to be read after the file's name.
    pub(super) fn new(model: &'m LlamaModel, context: usize) -> Result<Self, String> {
        Self::with_template(model, &template(model)?, context)
    }

    /// As [`Self::new`], with another template than the model's own.
    pub(super) fn with_template(model: &'m LlamaModel, source: &str, context: usize) -> Result<Self, String> {
        let template = read(model, source)?;
        let nonce = format!("{:016x}", getrandom::u64().map_err(|error| format!("cannot be used: {error}"))?);
        let longest_token = model.tokens(true).map(|(_, bytes)| bytes.len()).max().unwrap_or(1).max(1);
        let protocol = Protocol::of(source);
        let thinking = Thinking::of(source, &template);
        let thoughts = Thoughts::of(source).or(thinking.thinks.then_some(ANGLED));
        let markers = markers(model, source)?;
        let writer = Self { model, template, protocol, thinking, thoughts, nonce, longest_token, context, markers };
        let hello = ChatRequest { messages: vec![Message::default()], ..ChatRequest::default() };
        writer.write(&hello).map_err(|_| "has a chat template that refuses every conversation".to_owned())?;
        Ok(writer)
    }

    /// What the model's template knows of thinking.
    pub(super) fn thinking(&self) -> Thinking {
        self.thinking
    }

    /// `request`'s conversation as the model's template writes it. Where that refuses tools, they are told in words of ours.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`] for text so long that tokenising it would be a waste, and
    /// [`EngineError::Unsupported`] where the template cannot express the conversation.
    pub(super) fn write(&self, request: &ChatRequest) -> Result<Prompt, EngineError> {
        if request.task == Task::Completions {
            return self.raw(&request.messages);
        }
        let functions = offered(request)?;
        let uses_tools = !functions.is_empty() || request.messages.iter().any(is_about_tools);
        let first = if uses_tools { self.protocol } else { Protocol::Own };
        let written = self.write_as(request, &functions, first);
        let (written, protocol) = match written {
            Err(EngineError::Unsupported(_)) if first != Protocol::Own => {
                (self.write_as(request, &functions, Protocol::Own), Protocol::Own)
            }
            written => (written, first),
        };
        let (mut tokens, is_thinking) = written?;
        let calls = (!functions.is_empty()).then_some(protocol);
        let begun = if self.thoughts == Some(CHANNELS) { begun(request, calls) } else { "" };
        tokens.extend(self.model.vocab().tokenize(begun.as_bytes(), false, true).into_iter().map(|token| token.0));
        let prediction = self.prediction(request);
        Ok(Prompt { tokens, prediction, reading: Reading { calls, thoughts: self.thoughts, is_thinking, begun } })
    }

    /// A text that is no conversation, as it is: no template writes anything around it, and nothing in its answer is told
    /// apart.
    fn raw(&self, messages: &[Message]) -> Result<Prompt, EngineError> {
        let text: String = messages.iter().map(Message::text).collect();
        self.refuse_hopeless(text.len())?;
        let tokens = self.model.vocab().tokenize(text.as_bytes(), true, false);
        let tokens = tokens.into_iter().map(|token| token.0).collect();
        Ok(Prompt { tokens, prediction: Vec::new(), reading: Reading::default() })
    }

    /// What the client predicts of the answer, as far as that may get.
    fn prediction(&self, request: &ChatRequest) -> Vec<Token> {
        let text = request.prediction.as_ref().map_or("", Text::expose);
        let text = &text[..text.floor_char_boundary(self.context.saturating_mul(self.longest_token))];
        let mut tokens = self.model.vocab().tokenize(text.as_bytes(), false, false);
        tokens.truncate(self.context);
        tokens.into_iter().map(|token| token.0).collect()
    }

    /// The tokens, and whether they end within a thought.
    fn write_as(
        &self,
        request: &ChatRequest,
        functions: &[&Function],
        protocol: Protocol,
    ) -> Result<(Vec<Token>, bool), EngineError> {
        let mut texts = Texts::new(&self.nonce);
        let tools = if protocol == Protocol::Own { Vec::new() } else { tool_values(functions, protocol, &mut texts) };
        let turns = turns(request, protocol, functions, &mut texts);
        self.refuse_hopeless(texts.all().iter().filter(|held| held.is_needed).map(|held| held.text.len()).sum())?;
        let tools = (!tools.is_empty()).then_some(&tools[..]);
        let Told { enabled, effort } = Told::of(request.reasoning);
        let given =
            Given { messages: &turns, tools, enable_thinking: enabled, thinking: enabled, reasoning_effort: effort };
        let rendered = self.template.render(given).ok_or(REFUSED)?;
        let stretches = self.stretches(&rendered, texts.all())?;
        let is_thinking = self.thoughts.is_some_and(|thoughts| rendered.trim_end().ends_with(thoughts.begin));
        Ok((self.tokenize(&stretches, texts.all()), is_thinking))
    }

    fn tokenize(&self, stretches: &[Stretch<'_>], texts: &[Held]) -> Vec<Token> {
        let mut tokens: Vec<LlamaToken> = Vec::new();
        let vocab = self.model.vocab();
        for stretch in stretches {
            let first = tokens.is_empty();
            match stretch {
                Stretch::Template(text) => tokens.extend(vocab.tokenize(text.as_bytes(), first, true)),
                Stretch::Text { number, shape } => {
                    let text = shape.apply(&texts[*number].text);
                    for piece in unmarked(&text, &self.markers) {
                        tokens.extend(vocab.tokenize(piece.as_bytes(), tokens.is_empty(), false));
                    }
                }
            }
        }
        if tokens.len() > 1 && tokens[0] == vocab.bos() && tokens[1] == vocab.bos() && vocab.should_add_bos() {
            // The template wrote the one that tokenising adds.
            tokens.remove(0);
        }
        tokens.into_iter().map(|token| token.0).collect()
    }

    fn refuse_hopeless(&self, bytes: usize) -> Result<(), EngineError> {
        let least = bytes / self.longest_token;
        if least < self.context {
            return Ok(());
        }
        Err(EngineError::PromptTooLong { tokens: least as u64, limit: self.context as u64 - 1 })
    }

    /// Cuts the rendered template at its placeholders, in whatever order it has them.
    fn stretches<'t>(&self, rendered: &'t str, texts: &[Held]) -> Result<Vec<Stretch<'t>>, EngineError> {
        let mut stretches = Vec::with_capacity(2 * texts.len() + 1);
        let mut is_written = vec![false; texts.len()];
        let mut rest = rendered;
        while let Some((before, after)) = rest.split_once(self.nonce.as_str()) {
            let (number, after) = numbered(after).ok_or(DROPPED)?;
            *is_written.get_mut(number).ok_or(DROPPED)? = true;
            let start = longest(|probe| before.strip_suffix(probe));
            let end = longest(|probe| after.strip_prefix(probe));
            let escapes = start.or(end).map_or(0, |(escapes, _)| escapes);
            let shape = Shape { trims_start: start.is_none(), trims_end: end.is_none(), escapes };
            stretches.push(Stretch::Template(start.map_or(before, |(_, before)| before)));
            stretches.push(Stretch::Text { number, shape });
            rest = end.map_or(after, |(_, after)| after);
        }
        if texts.iter().zip(&is_written).any(|(held, is_written)| held.is_needed && !is_written) {
            return Err(DROPPED);
        }
        stretches.push(Stretch::Template(rest));
        stretches.retain(|stretch| !matches!(stretch, Stretch::Template("")));
        Ok(stretches)
    }
}

const REFUSED: EngineError = EngineError::Unsupported("this conversation: the model's chat template refuses it");
const DROPPED: EngineError = EngineError::Unsupported("this order of roles: the model's chat template drops a message");

/// The tokens of `model` that are no control tokens, and yet mean something in the template in `source` or to ajar; blanks do
/// not.
fn markers(model: &LlamaModel, source: &str) -> Result<AhoCorasick, String> {
    let vocab = model.vocab();
    let is_found = |token: &LlamaToken| vocab.attr(*token).contains(LlamaTokenAttr::UserDefined);
    let text = |token| String::from_utf8(vocab.token_to_piece(token, true, None)).ok();
    let is_marker =
        |text: &String| !text.trim().is_empty() && (source.contains(text) || MARKERS.contains(&text.as_str()));
    let markers = vocab.tokens().filter(is_found).filter_map(text).filter(is_marker);
    AhoCorasick::new(markers).map_err(|error| format!("has too many markers: {error}"))
}

/// `text` in pieces none of which holds one of `markers`: each is cut behind its first character.
fn unmarked<'t>(text: &'t str, markers: &AhoCorasick) -> Vec<&'t str> {
    let begins = markers.find_overlapping_iter(text).map(|found| found.start());
    let cuts: BTreeSet<usize> = begins.map(|at| text.ceil_char_boundary(at + 1)).collect();
    let begins = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([text.len()]);
    begins.zip(ends).map(|(begin, end)| &text[begin..end]).collect()
}

fn is_about_tools(message: &Message) -> bool {
    message.role == Role::Tool || !message.tool_calls.is_empty()
}

/// By how many escapes, and what is left without the probe, for the longest form of it that is there.
fn longest<'t>(strip: impl Fn(&'static str) -> Option<&'t str>) -> Option<(usize, &'t str)> {
    PROBES.iter().enumerate().rev().find_map(|(escapes, probe)| Some((escapes, strip(probe)?)))
}

/// The number of the text that a placeholder stands for, and what follows it; `text` begins behind its nonce.
fn numbered(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.strip_prefix('x')?.split_once('x')?;
    Some((number.parse().ok()?, rest))
}

/// The template in the model file.
fn template(model: &LlamaModel) -> Result<String, String> {
    let template = model.chat_template(None).map_err(|_| "has no chat template".to_owned())?;
    template.to_string().map_err(|_| "has a chat template that is no text".to_owned())
}

fn read(model: &LlamaModel, source: &str) -> Result<ChatTemplate, String> {
    let vocab = model.vocab();
    // A model without such a token says -1.
    let text = |token: LlamaToken| match token.0 {
        0.. => String::from_utf8(vocab.token_to_piece(token, true, None)).unwrap_or_default(),
        _ => String::new(),
    };
    ChatTemplate::new(source.to_owned(), text(vocab.bos()), text(vocab.eos()))
}
