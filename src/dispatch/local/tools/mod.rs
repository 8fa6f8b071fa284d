//! How models of each family are told of tools, and how they call them.

mod grammar;
#[cfg(feature = "llama")]
mod history;
mod parameter;
mod reader;

#[cfg(feature = "llama")]
pub(super) use grammar::Callable;
#[cfg(feature = "llama")]
pub(super) use history::{Held, Texts, tool_values, turns};
pub(super) use reader::{Piece, Reader};

use self::parameter::Signature;
use serde_json::{Value, json};

use super::EngineError;
#[cfg(feature = "llama")]
use crate::chat::ResponseFormat;
use crate::chat::request::{ChatRequest, Function, Tool, ToolChoice};

/// Ends a call of Hermes, Qwen and our own.
const CLOSE: &str = "</tool_call>";
/// May stand before a call of Llama.
const PYTHON: &str = "<|python_tag|>";

/// Stands between the name and the arguments of a call of Mistral.
const ARGS: &str = "[ARGS]";
/// Stands between its name and its id.
const CALL_ID: &str = "[CALL_ID]";

/// Stands before the name of a channel of gpt-oss.
const CHANNEL: &str = "<|channel|>";
/// Ends the head of its messages.
const MESSAGE: &str = "<|message|>";
/// May stand before the word for what a message is written in.
const CONSTRAIN: &str = "<|constrain|>";

/// Markers that are control tokens in some vocabularies: they are read only where they are asked about.
#[cfg(feature = "llama")]
pub(super) const MARKERS: [&str; 15] = [
    "<tool_call>",
    CLOSE,
    "[TOOL_CALLS]",
    ARGS,
    CALL_ID,
    PYTHON,
    ANGLED.begin,
    ANGLED.end,
    SQUARE.begin,
    SQUARE.end,
    CHANNEL,
    MESSAGE,
    CONSTRAIN,
    "<|start|>",
    CHANNELS.end,
];

/// What stands around a thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thoughts {
    /// Before it.
    pub(super) begin: &'static str,
    /// Behind it.
    end: &'static str,
}

/// Of DeepSeek, Qwen and most others.
pub(super) const ANGLED: Thoughts = Thoughts { begin: "<think>", end: "</think>" };
/// Of Mistral.
const SQUARE: Thoughts = Thoughts { begin: "[THINK]", end: "[/THINK]" };
/// Of gpt-oss, where all else that is said has such a head, too.
pub(super) const CHANNELS: Thoughts = Thoughts { begin: "<|channel|>analysis<|message|>", end: "<|end|>" };

impl Thoughts {
    /// What the template in `source` knows.
    pub(super) fn of(source: &str) -> Option<Self> {
        [ANGLED, SQUARE, CHANNELS].into_iter().find(|thoughts| source.contains(thoughts.begin))
    }
}

/// How calls are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`: Hermes, Qwen 2.5 and 3.
    Hermes,
    /// `{"name": …, "parameters": …}` and nothing else: Llama 3.
    Llama,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}]`: Mistral, up to its third tokenizer.
    Mistral,
    /// `[TOOL_CALLS]name[ARGS]{…}`, with an id as in `name[CALL_ID]id[ARGS]` or without: Mistral since then.
    MistralNamed {
        /// Whether a call has an id.
        ids: bool,
    },
    /// `<tool_call><function=name><parameter=…>value</parameter></function></tool_call>`, values as they are: Qwen 3 Coder.
    Coder,
    /// `<|channel|>commentary to=functions.name <|constrain|>json<|message|>{…}<|call|>`, one in each answer: gpt-oss.
    Channels,
    /// As Hermes, told by an instruction of ours: templates that know no tools, or in a way not known here.
    Own,
}

impl Protocol {
    /// What the template in `source` speaks.
    pub(super) fn of(source: &str) -> Self {
        let has = |marker: &str| source.contains(marker);
        if !has("tools") {
            Self::Own
        } else if has(CHANNEL) && has(MESSAGE) && has("functions") {
            Self::Channels
        } else if has("[TOOL_CALLS]") {
            if has(ARGS) { Self::MistralNamed { ids: has(CALL_ID) } } else { Self::Mistral }
        } else if has("<tool_call>") && has("<function=") {
            if has("<parameter=") { Self::Coder } else { Self::Own }
        } else if has("<tool_call>") && !has("<arg_key>") {
            Self::Hermes
        } else if has("ipython") && has("\"parameters\"") {
            Self::Llama
        } else {
            Self::Own
        }
    }

    /// What a call begins with; nothing where it begins with its JSON.
    pub(super) fn opening(self) -> &'static str {
        match self {
            Self::Hermes | Self::Coder | Self::Own => "<tool_call>",
            Self::Llama => "",
            Self::Mistral | Self::MistralNamed { .. } => "[TOOL_CALLS]",
            Self::Channels => "<|channel|>commentary to=functions.",
        }
    }

    /// A new call's id.
    pub(super) fn new_id(self) -> String {
        let mut bytes = [0; 16];
        // Without a source of randomness ids repeat, which clients bear: they belong to one answer.
        let _ = getrandom::fill(&mut bytes);
        match self {
            Self::Mistral | Self::MistralNamed { .. } => nine(&hex::encode(bytes)),
            Self::Hermes | Self::Llama | Self::Coder | Self::Channels | Self::Own => {
                format!("call_{}", &hex::encode(bytes)[..24])
            }
        }
    }
}

/// How an answer is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// How calls are written; `None` where there is nothing to call.
    pub(super) calls: Option<Protocol>,
    /// What stands around a thought, if it may begin with one.
    pub(super) thoughts: Option<Thoughts>,
    /// Whether the prompt ends within a thought.
    pub(super) is_thinking: bool,
    /// What of the answer the prompt says already.
    pub(super) begun: &'static str,
}

/// What the prompt says already of an answer in channels that has no choice: where it must be a call of `protocol`, or have a
/// form.
#[cfg(feature = "llama")]
pub(super) fn begun(request: &ChatRequest, calls: Option<Protocol>) -> &'static str {
    let is_text = request.response_format == ResponseFormat::Text;
    let must_call = calls.is_some() && matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    match calls {
        Some(Protocol::Channels) if must_call => Protocol::Channels.opening(),
        Some(Protocol::Channels) => "",
        _ if must_call || !is_text => "<|channel|>final<|message|>",
        _ => "",
    }
}

/// The functions that `request` lets the model call.
///
/// # Errors
/// [`EngineError::Unsupported`] for tools that are no functions, and choices that cannot be followed.
pub(super) fn offered(request: &ChatRequest) -> Result<Vec<&Function>, EngineError> {
    let functions = request.tools.iter().map(|tool| match tool {
        Tool::Function(function) => Ok(function),
        Tool::Other(_) => Err(EngineError::Unsupported("tools that are no functions")),
    });
    let functions: Vec<&Function> = functions.collect::<Result<_, _>>()?;
    match &request.tool_choice {
        Some(ToolChoice::None) => Ok(Vec::new()),
        Some(ToolChoice::Other(_)) => Err(EngineError::Unsupported("this `tool_choice`")),
        Some(ToolChoice::Named(name)) if !functions.iter().any(|function| function.name == *name) => {
            Err(EngineError::Unsupported("a `tool_choice` that names none of the `tools`"))
        }
        Some(ToolChoice::Required) if functions.is_empty() => {
            Err(EngineError::Unsupported("a required call without `tools`"))
        }
        _ => Ok(functions),
    }
}

/// What the functions of `request` take, where calls say it one by one.
pub(super) fn signatures(request: &ChatRequest, calls: Option<Protocol>) -> Vec<Signature> {
    let functions = if calls == Some(Protocol::Coder) { offered(request).unwrap_or_default() } else { Vec::new() };
    functions.into_iter().map(Signature::of).collect()
}

/// The schema of the arguments; a function without one takes none.
fn parameters(function: &Function) -> Value {
    let given = function.parameters.as_ref().and_then(|text| serde_json::from_str(text.expose()).ok());
    given.unwrap_or_else(|| json!({"type": "object", "properties": {}}))
}

/// `id` where it is nine letters and digits, as Mistral's templates ask for, else nine that stand for it.
fn nine(id: &str) -> String {
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    hex::encode(blake3::hash(id.as_bytes()).as_bytes())[..9].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_of_the_family_whose_words_it_has() {
        for (source, protocol) in [
            ("{% if tools %}<tool_call>", Protocol::Hermes),
            ("{% if tools %}<tool_call><function=f><parameter=p>", Protocol::Coder),
            ("{% if tools %}<tool_call><function=f>{}</function>", Protocol::Own),
            ("{% if tools %}<tool_call>f<arg_key>a</arg_key>", Protocol::Own),
            ("{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]", Protocol::Mistral),
            ("{% if tools %}[TOOL_CALLS]f[ARGS]", Protocol::MistralNamed { ids: false }),
            ("{% if tools %}[TOOL_CALLS]f[CALL_ID]i[ARGS]", Protocol::MistralNamed { ids: true }),
            ("{% if tools %}ipython {\"name\": f, \"parameters\": p}", Protocol::Llama),
            // Gemma: its third template knows no tools, the words of later ones are not known here.
            ("{% if tools %}functions{% endif %}<|channel|>final<|message|>", Protocol::Channels),
            ("{{ messages }}", Protocol::Own),
            ("{% if tools %}<start_function_call>call:f{a:1}<end_function_call>", Protocol::Own),
            ("{% if tools %}<|tool_call>call:f{a:1}<tool_call|>", Protocol::Own),
        ] {
            assert_eq!(Protocol::of(source), protocol, "{source}");
        }
    }

    #[test]
    fn ids_are_nine_letters_and_digits_where_the_family_asks_for_that() {
        let id = Protocol::Mistral.new_id();
        assert!(id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
        assert!(Protocol::Hermes.new_id().starts_with("call_"));
        assert_ne!(Protocol::Hermes.new_id(), Protocol::Hermes.new_id());
    }

    #[test]
    fn what_cannot_be_chosen_is_refused() {
        let function = |name: &str| Tool::Function(Function { name: name.to_owned(), ..Function::default() });
        let of = |tools: Vec<Tool>, choice: ToolChoice| {
            let request = ChatRequest { tools, tool_choice: Some(choice), ..ChatRequest::default() };
            offered(&request).map(|functions| functions.len())
        };
        assert_eq!(of(vec![function("a"), function("b")], ToolChoice::Auto), Ok(2));
        assert_eq!(of(vec![function("a")], ToolChoice::None), Ok(0));
        assert_eq!(of(vec![function("a")], ToolChoice::Named("a".to_owned())), Ok(1));
        for (tools, choice) in [
            (vec![function("a")], ToolChoice::Named("b".to_owned())),
            (vec![Tool::Other("{}".into())], ToolChoice::Auto),
            (Vec::new(), ToolChoice::Required),
            (vec![function("a")], ToolChoice::Other("{}".into())),
        ] {
            assert!(matches!(of(tools, choice), Err(EngineError::Unsupported(_))));
        }
    }
}
