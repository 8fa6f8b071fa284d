//! What a call may look like, as a grammar.

mod coder;

use serde_json::{Map, Value};

use super::super::EngineError;
use super::super::form;
use super::{ARGS, CALL_ID, CHANNEL, CONSTRAIN, MESSAGE, Protocol, parameters};
use crate::chat::request::{ChatRequest, Function, ToolChoice};

/// The calls that an answer may consist of, as grammars in Lark's notation.
pub(in super::super) struct Callable {
    /// What the whole answer must be, where it must.
    pub(in super::super) whole: Option<String>,
    /// What follows the beginning of a call.
    pub(in super::super) rest: String,
    /// Whether something may follow that.
    pub(in super::super) goes_on: bool,
}

impl Callable {
    /// The calls of `functions` that `request` allows. `token` gives the id of a marker that is a control token.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for a schema that cannot be enforced.
    pub(in super::super) fn new(
        request: &ChatRequest,
        protocol: Protocol,
        functions: &[&Function],
        token: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self, EngineError> {
        let marker = |text: &str| token(text).map_or_else(|| literal(text), |token| format!("<[{token}]>"));
        let several = request.parallel_tool_calls != Some(false);
        let named = match &request.tool_choice {
            Some(ToolChoice::Named(name)) => Some(name.as_str()),
            _ => None,
        };
        let is_due = named.is_some() || request.tool_choice == Some(ToolChoice::Required);
        let functions: Vec<&Function> =
            functions.iter().copied().filter(|function| named.is_none_or(|name| function.name == name)).collect();
        let several = several && named.is_none();
        let objects = match protocol {
            Protocol::Coder => coder::objects(&functions)?,
            Protocol::MistralNamed { ids } => named_objects(ids, &functions, marker)?,
            Protocol::Channels => channel_objects(&functions, marker)?,
            Protocol::Hermes | Protocol::Llama | Protocol::Mistral | Protocol::Own => objects(protocol, &functions)?,
        };
        let body = body(protocol, several);
        let calls = calls(protocol, several, &marker(protocol.opening()));
        let answer = form::answer(&request.response_format)?;
        let whole = match answer {
            // The prompt says how it begins.
            _ if is_due && protocol == Protocol::Channels => Some(format!("start: body\n{body}{objects}")),
            _ if is_due => Some(format!("start: calls\n{calls}{body}{objects}")),
            Some(answer) if protocol == Protocol::Channels => {
                let channel = marker(CHANNEL);
                Some(format!("start: calls | {channel} \"final\" body_of answer\n{answer}{calls}{body}{objects}"))
            }
            Some(answer) => Some(format!("start: calls | answer\n{answer}{calls}{body}{objects}")),
            None => None,
        };
        let rest = format!("start: body\n{body}{objects}");
        let goes_on = several && !matches!(protocol, Protocol::Llama | Protocol::Mistral | Protocol::Channels);
        Ok(Self { whole, rest, goes_on })
    }
}

/// A call with the `opening` that it begins with, or several.
fn calls(protocol: Protocol, several: bool, opening: &str) -> String {
    match protocol {
        Protocol::Hermes | Protocol::Coder | Protocol::Own if several => {
            format!("calls: call (\"\\n\" call)*\ncall: {opening} body\n")
        }
        Protocol::MistralNamed { .. } if several => format!("calls: call+\ncall: {opening} body\n"),
        Protocol::Hermes
        | Protocol::Coder
        | Protocol::Own
        | Protocol::Mistral
        | Protocol::MistralNamed { .. }
        | Protocol::Channels => {
            format!("calls: {opening} body\n")
        }
        Protocol::Llama => "calls: body\n".to_owned(),
    }
}

/// What follows that.
fn body(protocol: Protocol, several: bool) -> &'static str {
    match protocol {
        Protocol::Hermes | Protocol::Coder | Protocol::Own => "body: \"\\n\"? object \"\\n\"? \"</tool_call>\"\n",
        Protocol::Llama | Protocol::MistralNamed { .. } | Protocol::Channels => "body: object\n",
        Protocol::Mistral if several => "body: \"[\" object (\", \" object)* \"]\"\n",
        Protocol::Mistral => "body: \"[\" object \"]\"\n",
    }
}

/// A call of one of the functions.
fn objects(protocol: Protocol, functions: &[&Function]) -> Result<String, EngineError> {
    let key = if protocol == Protocol::Llama { "parameters" } else { "arguments" };
    let all: Vec<String> = (0..functions.len()).map(|at| format!("object_{at}")).collect();
    let mut rules = format!("object: {}\n", all.join(" | "));
    for (at, function) in functions.iter().enumerate() {
        let name = Value::from(function.name.as_str());
        let head = literal(&format!("{{\"name\": {name}, \"{key}\": "));
        let schema = arguments(function)?;
        rules += &format!("object_{at}: {head} arguments_{at} \"}}\"\narguments_{at}: %json {schema}\n");
    }
    Ok(rules)
}

/// The same, where its name stands before its arguments.
fn named_objects(ids: bool, functions: &[&Function], marker: impl Fn(&str) -> String) -> Result<String, EngineError> {
    let all: Vec<String> = (0..functions.len()).map(|at| format!("object_{at}")).collect();
    let mut rules = format!("object: {}\n", all.join(" | "));
    let id = if ids { format!("{} /[a-zA-Z0-9]{{9}}/ ", marker(CALL_ID)) } else { String::new() };
    for (at, function) in functions.iter().enumerate() {
        let (name, args, schema) = (literal(&function.name), marker(ARGS), arguments(function)?);
        rules += &format!("object_{at}: {name} {id}{args} arguments_{at}\narguments_{at}: %json {schema}\n");
    }
    Ok(rules)
}

/// The same, where what stands between says how the arguments are written.
fn channel_objects(functions: &[&Function], marker: impl Fn(&str) -> String) -> Result<String, EngineError> {
    let all: Vec<String> = (0..functions.len()).map(|at| format!("object_{at}")).collect();
    let (channel, constrain, message) = (marker(CHANNEL), marker(CONSTRAIN), marker(MESSAGE));
    let mut rules = format!("object: {}\n", all.join(" | "));
    rules += &format!("body_of: (\" \"? {constrain}? \"json\")? {message}\n");
    rules += &format!("spoken: ({channel} (\"commentary\" | \"analysis\"))? body_of\n");
    for (at, function) in functions.iter().enumerate() {
        let (name, schema) = (literal(&function.name), arguments(function)?);
        rules += &format!("object_{at}: {name} spoken arguments_{at}\narguments_{at}: %json {schema}\n");
    }
    Ok(rules)
}

fn arguments(function: &Function) -> Result<Value, EngineError> {
    match parameters(function) {
        Value::Object(schema) => Ok(form::styled(closed(schema), function.strict.unwrap_or(false))),
        _ => Err(form::UNENFORCEABLE),
    }
}

/// A function that names no parameters takes none.
fn closed(mut schema: Map<String, Value>) -> Map<String, Value> {
    let is_empty = |properties: &Value| properties.as_object().is_some_and(Map::is_empty);
    if schema.get("properties").is_some_and(is_empty) {
        schema.entry("additionalProperties").or_insert(false.into());
    }
    schema.entry("type").or_insert("object".into());
    schema
}

fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use llguidance::toktrie::ApproximateTokEnv;
    use serde_json::json;

    use super::*;
    use crate::chat::request::{ResponseFormat, Tool};
    use crate::dispatch::local::form::{Form, Forms};
    use crate::dispatch::local::model::Token;
    use crate::dispatch::local::tools::{Piece, Reader, Reading, offered, signatures};

    fn request(choice: ToolChoice, parallel: bool) -> ChatRequest {
        let schema = json!({
            "type": "object",
            "properties": {"city": {"$ref": "#/$defs/city"}, "days": {"type": "integer", "maximum": 9}},
            "required": ["city", "days"],
            "additionalProperties": false,
            "$defs": {"city": {"enum": ["Ulm", "Bonn"]}},
        });
        let weather = Function {
            name: "weather \"now\"".to_owned(),
            parameters: Some(schema.to_string().into()),
            strict: Some(true),
            ..Function::default()
        };
        let stop = Function { name: "stop".to_owned(), ..Function::default() };
        ChatRequest {
            tools: vec![Tool::Function(weather), Tool::Function(stop)],
            tool_choice: Some(choice),
            parallel_tool_calls: Some(parallel),
            ..ChatRequest::default()
        }
    }

    fn callable(protocol: Protocol, request: &ChatRequest) -> Callable {
        Callable::new(request, protocol, &offered(request).unwrap(), |_| None).unwrap()
    }

    fn form(grammar: String) -> Form {
        Forms::new(&ApproximateTokEnv::single_byte_env()).unwrap().lark(grammar).unwrap()
    }

    /// How much of `text` the grammar lets through, and whether nothing can follow.
    fn follow(grammar: &str, text: &str) -> (usize, bool) {
        let mut form = form(grammar.to_owned());
        for (at, byte) in text.bytes().enumerate() {
            if form.is_complete() || !form.allowed().unwrap().is_allowed(u32::from(byte)) {
                return (at, form.is_complete());
            }
            form.accept(Token::from(byte)).unwrap();
        }
        (text.len(), form.is_complete())
    }

    const WEATHER: &str = r#"{"name": "weather \"now\"", "arguments": {"city": "Ulm", "days": 3}}"#;
    const STOP: &str = r#"{"name": "stop", "arguments": {}}"#;

    #[test]
    fn a_required_call_is_one_of_the_functions_as_each_family_writes_it() {
        for (protocol, written) in [
            (Protocol::Hermes, format!("<tool_call>\n{WEATHER}\n</tool_call>")),
            (Protocol::Own, format!("<tool_call>{STOP}</tool_call>")),
            (Protocol::Llama, WEATHER.replace("arguments", "parameters")),
            (Protocol::Mistral, format!("[TOOL_CALLS][{STOP}]")),
        ] {
            let whole = callable(protocol, &request(ToolChoice::Required, false)).whole.unwrap();
            assert_eq!(follow(&whole, &written), (written.len(), true), "{protocol:?}: {written}");
            let wrong = written.replace("Ulm", "Rom").replace("{}", "{\"a\": 1}");
            assert!(follow(&whole, &wrong).0 < wrong.len(), "{wrong}");
            assert_eq!(follow(&whole, "Sure!"), (0, false));
        }
    }

    #[test]
    fn a_name_may_stand_before_its_arguments_with_an_id_between() {
        let request = request(ToolChoice::Required, true);
        let arguments = r#"{"city": "Ulm", "days": 3}"#;
        for (ids, between) in [(false, ""), (true, "[CALL_ID]abcDEF012")] {
            let whole = callable(Protocol::MistralNamed { ids }, &request).whole.unwrap();
            let stop = format!("[TOOL_CALLS]stop{between}[ARGS]{{}}");
            let two = format!("{stop}[TOOL_CALLS]weather \"now\"{between}[ARGS]{arguments}");
            assert_eq!(follow(&whole, &two), (two.len(), false));
            let wrong = two.replace("Ulm", "Rom");
            assert!(follow(&whole, &wrong).0 < wrong.len());
        }
        assert!(callable(Protocol::MistralNamed { ids: true }, &request).goes_on);
    }

    #[test]
    fn a_call_in_a_channel_is_spoken_to_its_function_and_an_answer_with_a_form_stands_in_the_last_channel() {
        let arguments = r#"{"city": "Ulm", "days": 3}"#;
        let required = request(ToolChoice::Required, true);
        // The prompt has said how it begins.
        let rest = callable(Protocol::Channels, &required).whole.unwrap();
        for head in ["<|message|>", " <|constrain|>json<|message|>", "<|channel|>commentary json<|message|>"] {
            let right = format!("weather \"now\"{head}{arguments}");
            assert_eq!(follow(&rest, &right), (right.len(), true), "{right}");
            let wrong = right.replace("Ulm", "Rom");
            assert_eq!(follow(&rest, &wrong).0, wrong.find("Rom").unwrap());
        }
        assert_eq!(follow(&rest, "weathers").0, 7);
        let auto = ChatRequest { response_format: ResponseFormat::JsonObject, ..request(ToolChoice::Auto, true) };
        let callable = callable(Protocol::Channels, &auto);
        let whole = callable.whole.unwrap();
        for right in [
            r#"<|channel|>final<|message|>{"a": 1}"#,
            r#"<|channel|>final <|constrain|>json<|message|>{}"#,
            "<|channel|>commentary to=functions.stop <|constrain|>json<|message|>{}",
        ] {
            assert_eq!(follow(&whole, right), (right.len(), true), "{right}");
        }
        assert_eq!(follow(&whole, "{}").0, 0);
        assert!(!callable.goes_on, "its end is a token that ends the answer");
    }

    /// A function with parameters of each kind.
    fn write(strict: bool, more: &serde_json::Value) -> ChatRequest {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "maxLength": 9},
                "mode": {"enum": ["new", "append"]},
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            },
            "required": ["path", "lines"],
            "additionalProperties": false,
            "$defs": {"line": {"type": "integer", "minimum": 1}},
        });
        schema["properties"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let parameters = Some(schema.to_string().into());
        let write = Function { name: "write".to_owned(), parameters, strict: Some(strict), ..Function::default() };
        ChatRequest { tools: vec![Tool::Function(write)], ..self::request(ToolChoice::Required, false) }
    }

    fn written(parameters: &[(&str, &str)]) -> String {
        let each = parameters.iter().map(|(name, value)| format!("<parameter={name}>\n{value}\n</parameter>\n"));
        format!("<tool_call>\n<function=write>\n{}</function>\n</tool_call>", each.collect::<String>())
    }

    #[test]
    fn parameters_that_are_written_one_by_one_fit_their_schemas() {
        let whole = callable(Protocol::Coder, &write(true, &json!({}))).whole.unwrap();
        for right in [
            written(&[("path", "</p>\n\"é"), ("lines", "[1, 2]")]),
            written(&[("path", ""), ("mode", "append"), ("lines", "[]")]),
        ] {
            assert_eq!(follow(&whole, &right), (right.len(), true), "{right}");
        }
        for (wrong, until) in [
            (written(&[("lines", "[1]")]), "lines"),
            (written(&[("path", "0123456789"), ("lines", "[1]")]), "9\n"),
            (written(&[("path", "a"), ("mode", "old"), ("lines", "[1]")]), "old"),
            (written(&[("path", "a"), ("lines", "[0]")]), "0"),
        ] {
            assert_eq!(follow(&whole, &wrong).0, wrong.find(until).unwrap(), "{wrong}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_written_parameter_by_parameter_is_read_as_arguments_that_fit(
            steps in proptest::collection::vec(proptest::prelude::any::<u16>(), 400),
        ) {
            let more = json!({
                "note": {"type": ["integer", "null"], "minimum": 0, "maximum": 99},
                "at": {"type": "object", "properties": {"x": {"type": "integer"}}, "additionalProperties": false},
            });
            let request = write(false, &more);
            let (written, ends) = form(callable(Protocol::Coder, &request).whole.unwrap()).walk(&steps);
            let Ok(written) = String::from_utf8(written) else { return Ok(()) };
            let reading = Reading { calls: Some(Protocol::Coder), ..Reading::default() };
            let mut reader = Reader::new(reading, signatures(&request, reading.calls));
            let pieces: Vec<Piece> = reader.push(&written).into_iter().chain(reader.finish(!ends)).collect();
            let said = |piece: &Piece| match piece { Piece::Arguments(text) => text.clone(), _ => String::new() };
            let arguments: String = pieces.iter().map(said).collect();
            proptest::prop_assert!(!pieces.iter().any(|piece| matches!(piece, Piece::Text(_) | Piece::Thought(_))));
            if ends {
                let arguments: serde_json::Value = serde_json::from_str(&arguments).unwrap();
                let Tool::Function(function) = &request.tools[0] else { unreachable!() };
                let schema = serde_json::from_str(function.parameters.as_ref().unwrap().expose()).unwrap();
                let valid = jsonschema::validator_for(&schema).unwrap().is_valid(&arguments);
                proptest::prop_assert!(valid, "{}", arguments);
            }
        }
    }

    #[test]
    fn a_parameter_that_cannot_be_enforced_is_refused_where_strict_and_any_text_where_not() {
        let odd = json!({"odd": {"type": "string", "pattern": "^a+$"}});
        let strict = write(true, &odd);
        let refused = Callable::new(&strict, Protocol::Coder, &offered(&strict).unwrap(), |_| None);
        assert!(matches!(refused.err(), Some(EngineError::Unsupported(_))));
        let lenient = callable(Protocol::Coder, &write(false, &odd)).whole.unwrap();
        let free = written(&[("path", "a"), ("lines", "[]"), ("odd", "b")]);
        assert_eq!(follow(&lenient, &free), (free.len(), true));
    }

    #[test]
    fn a_function_that_describes_no_parameters_takes_any() {
        let open = Function { name: "write".to_owned(), parameters: Some("{}".into()), ..Function::default() };
        let request = ChatRequest { tools: vec![Tool::Function(open)], ..request(ToolChoice::Required, false) };
        let whole = callable(Protocol::Coder, &request).whole.unwrap();
        let any = written(&[("a", "b"), ("c", "1\n2")]);
        assert_eq!(follow(&whole, &any), (any.len(), true));
    }

    #[test]
    fn a_named_function_is_the_only_one_and_calls_are_several_where_they_may_be() {
        let named = callable(Protocol::Llama, &request(ToolChoice::Named("stop".to_owned()), true)).whole.unwrap();
        let stop = STOP.replace("arguments", "parameters");
        assert_eq!(follow(&named, &stop), (stop.len(), true));
        assert_eq!(follow(&named, &WEATHER.replace("arguments", "parameters")).0, r#"{"name": ""#.len());
        let two = format!("<tool_call>{STOP}</tool_call>\n<tool_call>{WEATHER}</tool_call>");
        let several = callable(Protocol::Hermes, &request(ToolChoice::Required, true)).whole.unwrap();
        assert_eq!(follow(&several, &two), (two.len(), false));
        let single = callable(Protocol::Hermes, &request(ToolChoice::Required, false)).whole.unwrap();
        assert_eq!(follow(&single, &two), (two.find('\n').unwrap(), true));
        let list = format!("[TOOL_CALLS][{STOP}, {WEATHER}]");
        let several = callable(Protocol::Mistral, &request(ToolChoice::Required, true)).whole.unwrap();
        assert_eq!(follow(&several, &list), (list.len(), true));
    }

    #[test]
    fn where_nothing_is_required_only_what_follows_the_beginning_of_a_call_is_held() {
        let auto = callable(Protocol::Hermes, &request(ToolChoice::Auto, true));
        let rest = format!("\n{WEATHER}\n</tool_call>");
        assert!(auto.whole.is_none() && auto.goes_on);
        assert_eq!(follow(&auto.rest, &rest), (rest.len(), true));
        // A form and tools: one of them.
        let request = ChatRequest { response_format: ResponseFormat::JsonObject, ..request(ToolChoice::Auto, false) };
        let either = callable(Protocol::Hermes, &request).whole.unwrap();
        let call = format!("<tool_call>{STOP}</tool_call>");
        assert_eq!(follow(&either, &call), (call.len(), true));
        assert_eq!(follow(&either, "{\"a\": 1}"), (8, true));
    }

    #[test]
    fn a_schema_that_cannot_be_enforced_is_refused() {
        let bad = Function { name: "f".to_owned(), parameters: Some("[1]".into()), ..Function::default() };
        let bad = ChatRequest { tools: vec![Tool::Function(bad)], ..ChatRequest::default() };
        let refused = Callable::new(&bad, Protocol::Hermes, &offered(&bad).unwrap(), |_| None);
        assert!(matches!(refused.err(), Some(EngineError::Unsupported(_))));
    }
}
