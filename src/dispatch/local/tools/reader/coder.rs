//! Calls that name each parameter by itself, whose value is written as it is, no JSON.

use super::super::parameter::{Signature, read_unknown};
use super::{Head, Piece, Reader, State, say};

/// Begins the function of a call.
const FUNCTION: &str = "<function=";
/// Ends it.
const END: &str = "</function>";
/// Begins a parameter.
const PARAMETER: &str = "<parameter=";
/// Ends one.
const PARAMETER_END: &str = "\n</parameter>";

/// The functions that may be called, and where in a call of one the answer is.
#[derive(Default)]
pub(super) struct Coder {
    signatures: Vec<Signature>,
    function: Option<usize>,
    /// The parameter that is written now, where that is described.
    parameter: Option<usize>,
    /// Its name.
    name: String,
    /// Whether a parameter came already.
    has_some: bool,
}

impl Coder {
    pub(super) fn new(signatures: Vec<Signature>) -> Self {
        Self { signatures, ..Self::default() }
    }

    fn signature(&self) -> Option<&Signature> {
        self.signatures.get(self.function?)
    }

    /// Whether what is written now can only be a string.
    fn is_text(&self) -> bool {
        let parameter = self.parameter.and_then(|at| self.signature()?.parameters.get(at));
        parameter.is_some_and(|parameter| parameter.is_text())
    }

    fn read(&self, text: &str) -> String {
        let parameter = self.parameter.and_then(|at| self.signature()?.parameters.get(at));
        parameter.map_or_else(|| read_unknown(text), |parameter| parameter.read(text))
    }

    /// The beginning of a member of the arguments.
    fn member(&mut self) -> String {
        let before = if std::mem::replace(&mut self.has_some, true) { ", " } else { "{" };
        format!("{before}{}: ", quoted(&self.name))
    }
}

/// Reads `<function=name>`.
pub(super) fn head(text: &str) -> Head {
    let rest = text.trim_start();
    let Some(after) = rest.strip_prefix(FUNCTION) else {
        return if FUNCTION.starts_with(rest) { Head::Unfinished } else { Head::Odd };
    };
    match after.split_once('>') {
        Some((name, behind)) => Head::Named(name.to_owned(), text.len() - behind.len()),
        None => Head::Unfinished,
    }
}

impl Reader {
    /// The function called `name` is called.
    pub(super) fn call(&mut self, name: &str) -> bool {
        let function = self.coder.signatures.iter().position(|signature| signature.name == name);
        self.coder.function = function;
        self.coder.has_some = false;
        self.go(State::Between)
    }

    /// Before a parameter, or behind the last.
    pub(super) fn between(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let rest = self.held.trim_start();
        if let Some(after) = rest.strip_prefix(END) {
            let end = if self.coder.has_some { "}" } else { "{}" };
            pieces.push(Piece::Arguments(end.to_owned()));
            self.held = after.to_owned();
            return self.go(State::Tail);
        }
        // The name's line must have come, for its end is no part of the value.
        let Some((name, value)) = rest.strip_prefix(PARAMETER).and_then(|rest| rest.split_once(">\n")) else {
            return false;
        };
        let (name, value) = (name.to_owned(), value.to_owned());
        let named = |signature: &Signature| signature.parameters.iter().position(|parameter| parameter.name == name);
        self.coder.parameter = self.coder.signature().and_then(named);
        self.coder.name = name;
        // It ends with a line of its own, also where it is empty.
        self.held = value;
        if self.coder.is_text() {
            let member = self.coder.member();
            pieces.push(Piece::Arguments(format!("{member}\"")));
        }
        self.go(State::Parameter)
    }

    /// In a parameter's value: of a string what has come, of everything else the whole.
    pub(super) fn parameter(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let end = self.held.find(PARAMETER_END);
        if self.coder.is_text() {
            let until = end.unwrap_or_else(|| super::before(&self.held, PARAMETER_END));
            let said: String = self.held.drain(..until).collect();
            let said = quoted(&said);
            say(pieces, said[1..said.len() - 1].to_owned(), Piece::Arguments);
        }
        let Some(end) = end else { return false };
        if self.coder.is_text() {
            pieces.push(Piece::Arguments("\"".to_owned()));
            self.held.drain(..PARAMETER_END.len());
        } else {
            let value = self.coder.read(&self.held[..end]);
            let member = self.coder.member();
            pieces.push(Piece::Arguments(member + &value));
            self.held.drain(..end + PARAMETER_END.len());
        }
        self.go(State::Between)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
