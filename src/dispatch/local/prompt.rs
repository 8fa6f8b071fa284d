//! Conversation to tokens, through the model's own chat template, so that no text can pass for a control token.
//!
//! The template is rendered with a placeholder in place of each message's content. What the template wrote is then
//! tokenised with control tokens on, and what people wrote with control tokens off: `<|im_end|>` in a message is five
//! or so ordinary tokens.

use llama_cpp_2::model::{LlamaChatMessage, LlamaChatTemplate, LlamaModel};
use llama_cpp_2::token::LlamaToken;

use super::EngineError;
use super::model::Token;
use crate::chat::request::{ChatRequest, Message, Role};

/// Stands around a placeholder: a template that trims contents removes it, and so tells that it trims.
const PROBE: char = '\t';

/// Renders and tokenises conversations for one model.
pub(super) struct PromptWriter<'m> {
    model: &'m LlamaModel,
    template: LlamaChatTemplate,
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
    Content { message: usize, trimmed: bool },
}

impl<'m> PromptWriter<'m> {
    /// # Errors
    /// What is wrong with the model's chat template, to be read after the file's name.
    pub(super) fn new(model: &'m LlamaModel, context: usize) -> Result<Self, String> {
        let template = model.chat_template(None).map_err(|_| "has no chat template".to_owned())?;
        let nonce = format!("{:016x}", getrandom::u64().map_err(|error| format!("cannot be used: {error}"))?);
        let longest_token = model.tokens(true).map(|(_, bytes)| bytes.len()).max().unwrap_or(1).max(1);
        let writer = Self { model, template, nonce, longest_token, context };
        let hello = [Message { role: Role::User, ..Message::default() }];
        writer.render(&hello).map_err(|_| "has a chat template that llama.cpp does not know".to_owned())?;
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
                    let content = &contents[message];
                    let text = if trimmed { content.trim() } else { content };
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
        let cannot = EngineError::Unsupported("this conversation: the model's chat template refuses it");
        let chat: Result<Vec<_>, _> = messages
            .iter()
            .enumerate()
            .map(|(message, m)| LlamaChatMessage::new(m.role.name().to_owned(), self.padded(message)))
            .collect();
        let chat = chat.map_err(|_| cannot.clone())?;
        self.model.apply_chat_template(&self.template, &chat, true).map_err(|_| cannot)
    }

    /// Cuts the rendered template at its placeholders.
    fn stretches<'t>(&self, rendered: &'t str, messages: usize) -> Result<Vec<Stretch<'t>>, EngineError> {
        let mut stretches = Vec::with_capacity(2 * messages + 1);
        let mut rest = rendered;
        for message in 0..messages {
            let placeholder = self.placeholder(message);
            let Some((before, after)) = rest.split_once(placeholder.as_str()) else {
                return Err(EngineError::Unsupported("this order of roles: the model's chat template drops a message"));
            };
            let padded = before.strip_suffix(PROBE).zip(after.strip_prefix(PROBE));
            let (before, after) = padded.unwrap_or((before, after));
            stretches.push(Stretch::Template(before));
            stretches.push(Stretch::Content { message, trimmed: padded.is_none() });
            rest = after;
        }
        stretches.push(Stretch::Template(rest));
        stretches.retain(|stretch| !matches!(stretch, Stretch::Template("")));
        Ok(stretches)
    }

    fn placeholder(&self, message: usize) -> String {
        format!("{}-{message}-", self.nonce)
    }

    fn padded(&self, message: usize) -> String {
        format!("{PROBE}{}{PROBE}", self.placeholder(message))
    }
}
