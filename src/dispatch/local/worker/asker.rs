//! Who waits for what comes of a job.

use std::cell::RefCell;

use tokio::sync::{mpsc, oneshot};

use super::super::engine::RESERVE;
use super::super::model::Token;
use super::super::pending::Reply;
use super::super::{EngineError, Look, Notes};
use crate::chat::reply::{Confidence, Delta, Usage};

/// Somebody who may leave at any time: whatever is told then is lost, and it is noticed before the next step.
pub(super) enum Asker {
    /// Reads answers as they are generated. There is room for each delta (see [`RESERVE`]).
    Reader { replies: mpsc::Sender<Reply>, notes: Notes },
    /// Wants to know what the model makes of the prompt, which goes on with `last`; told once.
    Looker { last: Token, reply: RefCell<Option<oneshot::Sender<Result<Look, EngineError>>>> },
}

impl Asker {
    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Reader { replies, .. } => replies.is_closed(),
            Self::Looker { reply, .. } => reply.borrow().as_ref().is_none_or(oneshot::Sender::is_closed),
        }
    }

    /// Whether it can take whatever the next token of so many `choices` brings.
    pub(super) fn has_room(&self, choices: u32) -> bool {
        match self {
            Self::Reader { replies, .. } => replies.capacity() >= RESERVE * choices as usize,
            Self::Looker { .. } => true,
        }
    }

    /// A piece of an answer.
    pub(super) fn say(&self, delta: Delta) {
        if let Self::Reader { replies, .. } = self {
            let _ = replies.try_send(Ok(delta));
        }
    }

    /// All answers are complete.
    pub(super) fn end(&self, usage: Usage, confidence: Option<Confidence>) {
        if let Self::Reader { notes, .. } = self {
            notes.note_confidence(confidence);
        }
        self.say(Delta::Usage(usage));
    }

    /// What the model makes of the prompt.
    pub(super) fn show(&self, look: Look) {
        self.reply(Ok(look));
    }

    /// Nothing more comes.
    pub(super) fn fail(&self, error: &EngineError) {
        if let Self::Reader { replies, .. } = self {
            let _ = replies.try_send(Err(error.clone()));
        }
        self.reply(Err(error.clone()));
    }

    fn reply(&self, look: Result<Look, EngineError>) {
        if let Self::Looker { reply, .. } = self {
            reply.take().into_iter().for_each(|reply| drop(reply.send(look.clone())));
        }
    }
}
