//! Pseudonyms in an answer in neutral words become what they stand for, whatever dialect it came in and goes out in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::restore::{Flow, Form, Restorer, Tally};
use crate::chat::{Delta, Text};

/// One of the texts that deltas carry in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Channel {
    Text,
    Refusal,
    Thought,
    Arguments(u32),
}

impl Channel {
    fn delta(self, index: u32, text: Text) -> Delta {
        match self {
            Self::Text => Delta::Text { index, text, logprobs: Vec::new() },
            Self::Refusal => Delta::Refusal { index, text },
            Self::Thought => Delta::Thought { index, text },
            Self::Arguments(call) => Delta::Arguments { index, call, text },
        }
    }
}

/// Puts back what the deltas of one answer carry, however its words are cut.
pub struct RestoringDeltas {
    restorer: Arc<Restorer>,
    answers_json: bool,
    flows: BTreeMap<(u32, Channel), Flow>,
    tally: Tally,
}

impl RestoringDeltas {
    /// For one answer; `answers_json` is whether its text is JSON.
    pub fn new(restorer: Arc<Restorer>, answers_json: bool) -> Self {
        Self { restorer, answers_json, flows: BTreeMap::new(), tally: Tally::default() }
    }

    /// What was put back since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Appends what of `delta`, and of those before it, can go on. Where another of a choice's texts begins or it ends,
    /// what was held back goes first, so that the order stays.
    pub fn push(&mut self, delta: Delta, out: &mut Vec<Delta>) {
        match delta {
            Delta::Text { index, text, logprobs } => {
                let text = self.text(index, Channel::Text, &text, out);
                if !text.is_empty() || !logprobs.is_empty() {
                    out.push(Delta::Text { index, text, logprobs });
                }
            }
            Delta::Refusal { index, text } => self.piece(index, Channel::Refusal, &text, out),
            Delta::Thought { index, text } => self.piece(index, Channel::Thought, &text, out),
            Delta::Arguments { index, call, text } => self.piece(index, Channel::Arguments(call), &text, out),
            Delta::Sealed { index, .. } | Delta::Finish { index, .. } => {
                self.end(|(choice, _)| choice == index, out);
                out.push(delta);
            }
            Delta::Call { index, call, id, name } => {
                self.end(|(choice, _)| choice == index, out);
                let name = self.restorer.whole(&name, Form::Plain, &mut self.tally);
                out.push(Delta::Call { index, call, id, name });
            }
            Delta::Usage(_) => {
                self.finish(out);
                out.push(delta);
            }
        }
    }

    /// Appends what is held back when the answer ends.
    pub fn finish(&mut self, out: &mut Vec<Delta>) {
        self.end(|_| true, out);
    }

    fn piece(&mut self, index: u32, channel: Channel, text: &Text, out: &mut Vec<Delta>) {
        let text = self.text(index, channel, text, out);
        if !text.is_empty() {
            out.push(channel.delta(index, text));
        }
    }

    fn text(&mut self, index: u32, channel: Channel, text: &Text, out: &mut Vec<Delta>) -> Text {
        let form = self.form(channel);
        // Arguments of several calls may come in turns.
        let turns = |other| matches!((other, channel), (Channel::Arguments(_), Channel::Arguments(_)));
        self.end(|(choice, other)| choice == index && other != channel && !turns(other), out);
        let flow = self.flows.entry((index, channel)).or_default();
        self.restorer.push(flow, text.expose(), form, &mut self.tally).into()
    }

    fn form(&self, channel: Channel) -> Form {
        match channel {
            Channel::Arguments(_) => Form::Json,
            Channel::Text if self.answers_json => Form::Json,
            Channel::Text | Channel::Refusal | Channel::Thought => Form::Plain,
        }
    }

    fn end(&mut self, which: impl Fn((u32, Channel)) -> bool, out: &mut Vec<Delta>) {
        let ending: Vec<(u32, Channel)> = self.flows.keys().copied().filter(|key| which(*key)).collect();
        for key in ending {
            let form = self.form(key.1);
            let Some(mut flow) = self.flows.remove(&key) else { continue };
            let held = self.restorer.finish(&mut flow, form, &mut self.tally);
            if !held.is_empty() {
                out.push(key.1.delta(key.0, held.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chat::{FinishReason, Reply, Usage};
    use crate::policy::Style;
    use crate::transform::{Entry, Kind, Vaults};

    fn entry() -> Arc<Entry> {
        let vault = Vaults::new(Duration::from_secs(60)).unwrap().of(&[3; 32]);
        vault.token(Style::Tag, Kind::Person, "Zo\"e", &|_| false).unwrap()
    }

    /// The answer that says `text` everywhere, cut into pieces of so many characters, with pseudonyms put back.
    fn answer(entry: &Arc<Entry>, text: &str, size: usize) -> (Reply, Tally) {
        let restorer = Arc::new(Restorer::new(vec![entry.clone()]).unwrap());
        let mut restoring = RestoringDeltas::new(restorer, false);
        let pieces: Vec<String> = text.chars().collect::<Vec<_>>().chunks(size).map(String::from_iter).collect();
        let each = |make: &dyn Fn(Text) -> Delta| pieces.iter().map(|p| make(p.as_str().into())).collect::<Vec<_>>();
        let call = |call| Delta::Call { index: 0, call, id: String::new(), name: entry.token.clone() };
        let arguments = |call| move |text| Delta::Arguments { index: 0, call, text };
        let turns = each(&arguments(0)).into_iter().zip(each(&arguments(1))).flat_map(|(a, b)| [a, b]).collect();
        let mut out = Vec::new();
        for delta in [
            each(&|text| Delta::Thought { index: 0, text }),
            vec![Delta::Sealed { index: 0, seal: "s".into(), id: None }],
            each(&|text| Delta::Text { index: 0, text, logprobs: Vec::new() }),
            each(&|text| Delta::Refusal { index: 0, text }),
            vec![call(0), call(1)],
            turns,
            vec![Delta::Finish { index: 0, reason: FinishReason::ToolCalls }, Delta::Usage(Usage::default())],
        ]
        .concat()
        {
            restoring.push(delta, &mut out);
        }
        let mut reply = Reply::default();
        assert!(matches!(out.last(), Some(Delta::Usage(_))));
        out.into_iter().for_each(|delta| reply.add(delta));
        (reply, restoring.take_tally())
    }

    #[test]
    fn everything_is_put_back_in_every_text_however_it_is_cut() {
        let entry = entry();
        let text = format!("a {} b {}", entry.token, entry.token);
        for size in 1..=text.len() {
            let (reply, tally) = answer(&entry, &text, size);
            let choice = &reply.choices[0];
            for plain in [&choice.text, &choice.refusal, &choice.thoughts[0].text] {
                assert_eq!(plain.expose(), "a Zo\"e b Zo\"e", "cut by {size}");
            }
            for call in &choice.tool_calls {
                assert_eq!((call.name.as_str(), call.arguments.expose()), ("Zo\"e", r#"a Zo\"e b Zo\"e"#));
            }
            assert_eq!(tally, Tally { restored: 12, unrestored: 0 });
        }
    }
}
