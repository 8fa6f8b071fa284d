//! Conversation to tokens, through the model's own chat template, so that no text can pass for a control token.
//!
//! The template is rendered with a placeholder in place of each message's content. What the template wrote is then
//! tokenised with control tokens on, and what people wrote with control tokens off: `<|im_end|>` in a message is five
//! or so ordinary tokens.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::EngineError;
use super::model::Token;
use super::template::{ChatTemplate, Turn};
use crate::chat::request::{ChatRequest, Message, Role};

/// Stands on both sides of a placeholder: a template that trims contents removes it, and so tells that it trims there.
const PROBE: char = '\t';

/// Renders and tokenises conversations for one model.
pub(super) struct PromptWriter<'m> {
    model: &'m LlamaModel,
    template: ChatTemplate,
    /// What placeholders begin with: not to be guessed, so that no text can contain one.
    nonce: String,
    /// Bytes of the vocabulary's longest token.
    longest_token: usize,
    /// Most tokens worth tokenising for.
    context: usize,
}

/// A stretch of the prompt.
enum Stretch<'a> {
    /// Written by the template.
    Template(&'a str),
    /// The content of this message.
    Content { message: usize, trimmed: Trimmed },
}

/// Where the template wants no blanks around a content.
#[derive(Clone, Copy)]
struct Trimmed {
    start: bool,
    end: bool,
}

impl Trimmed {
    fn apply(self, text: &str) -> &str {
        let text = if self.start { text.trim_start() } else { text };
        if self.end { text.trim_end() } else { text }
    }
}

impl<'m> PromptWriter<'m> {
    /// # Errors
    /// What is wrong with the model's chat template, to be read after the file's name.
    pub(super) fn new(model: &'m LlamaModel, context: usize) -> Result<Self, String> {
        Self::with_template(model, template(model)?, context)
    }

    /// As [`Self::new`], with another template than the model's own.
    pub(super) fn with_template(model: &'m LlamaModel, template: ChatTemplate, context: usize) -> Result<Self, String> {
        let nonce = format!("{:016x}", getrandom::u64().map_err(|error| format!("cannot be used: {error}"))?);
        let longest_token = model.tokens(true).map(|(_, bytes)| bytes.len()).max().unwrap_or(1).max(1);
        let writer = Self { model, template, nonce, longest_token, context };
        let hello = [Message { role: Role::User, ..Message::default() }];
        writer.render(&hello).map_err(|_| "has a chat template that refuses every conversation".to_owned())?;
        Ok(writer)
    }

    /// The tokens of `request`'s conversation, up to where the answer begins.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`] for text so long that tokenising it would be a waste, and
    /// [`EngineError::Unsupported`] where the template cannot express the conversation.
    pub(super) fn write(&self, request: &ChatRequest) -> Result<Vec<Token>, EngineError> {
        let contents: Vec<String> = request.messages.iter().map(Message::text).collect();
        self.refuse_hopeless(&contents)?;
        let rendered = self.render(&request.messages)?;
        let mut tokens: Vec<LlamaToken> = Vec::new();
        let vocab = self.model.vocab();
        for stretch in self.stretches(&rendered, contents.len())? {
            let first = tokens.is_empty();
            match stretch {
                Stretch::Template(text) => tokens.extend(vocab.tokenize(text.as_bytes(), first, true)),
                Stretch::Content { message, trimmed } => {
                    let text = trimmed.apply(&contents[message]);
                    tokens.extend(vocab.tokenize(text.as_bytes(), first, false));
                }
            }
        }
        if tokens.len() > 1 && tokens[0] == vocab.bos() && tokens[1] == vocab.bos() && vocab.should_add_bos() {
            // The template wrote the one that tokenising adds.
            tokens.remove(0);
        }
        Ok(tokens.into_iter().map(|token| token.0).collect())
    }

    fn refuse_hopeless(&self, contents: &[String]) -> Result<(), EngineError> {
        let bytes: usize = contents.iter().map(String::len).sum();
        let least = bytes / self.longest_token;
        if least < self.context {
            return Ok(());
        }
        Err(EngineError::PromptTooLong { tokens: least as u64, limit: self.context as u64 - 1 })
    }

    fn render(&self, messages: &[Message]) -> Result<String, EngineError> {
        let turn = |(message, m): (usize, &Message)| Turn { role: m.role.name(), content: self.padded(message) };
        let turns: Vec<Turn> = messages.iter().enumerate().map(turn).collect();
        let cannot = EngineError::Unsupported("this conversation: the model's chat template refuses it");
        self.template.render(&turns).ok_or(cannot)
    }

    /// Cuts the rendered template at its placeholders, in whatever order it has them.
    fn stretches<'t>(&self, rendered: &'t str, messages: usize) -> Result<Vec<Stretch<'t>>, EngineError> {
        let dropped = EngineError::Unsupported("this order of roles: the model's chat template drops a message");
        let mut stretches = Vec::with_capacity(2 * messages + 1);
        let mut is_written = vec![false; messages];
        let mut rest = rendered;
        while let Some((before, after)) = rest.split_once(self.nonce.as_str()) {
            let (message, after) = numbered(after).ok_or_else(|| dropped.clone())?;
            *is_written.get_mut(message).ok_or_else(|| dropped.clone())? = true;
            let (start, end) = (before.strip_suffix(PROBE), after.strip_prefix(PROBE));
            let trimmed = Trimmed { start: start.is_none(), end: end.is_none() };
            stretches.push(Stretch::Template(start.unwrap_or(before)));
            stretches.push(Stretch::Content { message, trimmed });
            rest = end.unwrap_or(after);
        }
        if is_written.contains(&false) {
            return Err(dropped);
        }
        stretches.push(Stretch::Template(rest));
        stretches.retain(|stretch| !matches!(stretch, Stretch::Template("")));
        Ok(stretches)
    }

    fn padded(&self, message: usize) -> String {
        format!("{PROBE}{}-{message}-{PROBE}", self.nonce)
    }
}

/// The message that a placeholder stands for, and what follows it; `text` begins behind its nonce.
fn numbered(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.strip_prefix('-')?.split_once('-')?;
    Some((number.parse().ok()?, rest))
}

/// The template in the model file.
fn template(model: &LlamaModel) -> Result<ChatTemplate, String> {
    let template = model.chat_template(None).map_err(|_| "has no chat template".to_owned())?;
    let source = template.to_string().map_err(|_| "has a chat template that is no text".to_owned())?;
    let vocab = model.vocab();
    // A model without such a token says -1.
    let text = |token: LlamaToken| match token.0 {
        0.. => String::from_utf8(vocab.token_to_piece(token, true, None)).unwrap_or_default(),
        _ => String::new(),
    };
    ChatTemplate::new(source, text(vocab.bos()), text(vocab.eos()))
}
