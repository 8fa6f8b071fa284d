//! A model's own chat template: a Jinja program from the model file. It runs with bounded fuel and sees nothing but what
//! it is given.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::chat::request::Role;

/// Steps that one rendering may take: a thousand messages take less than a hundredth.
const FUEL: u64 = 10_000_000;

/// Largest template of any honest model, several times over, in bytes.
const MAX_TEMPLATE: usize = 1 << 20;

/// Farthest that a template may indent JSON, in blanks.
const MAX_INDENT: usize = 16;

/// The name of the only template there is.
const NAME: &str = "chat";

/// A message as templates see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Turn {
    /// Who speaks, in the words of templates.
    pub(super) role: &'static str,
    /// What is said.
    pub(super) content: String,
    /// The tools that are called.
    #[serde(rename = "tool_calls", skip_serializing_if = "Vec::is_empty")]
    pub(super) calls: Vec<serde_json::Value>,
    /// Which call this is the result of.
    #[serde(rename = "tool_call_id", skip_serializing_if = "Option::is_none")]
    pub(super) call_id: Option<String>,
    /// Which tool's result it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

impl Turn {
    /// One that only says something.
    pub(super) fn new(role: Role, content: String) -> Self {
        Self { role: role.name(), content, calls: Vec::new(), call_id: None, name: None }
    }
}

/// All that a template is given.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Given<'a> {
    pub(super) messages: &'a [Turn],
    /// Functions that may be called, as OpenAI describes them.
    pub(super) tools: Option<&'a [serde_json::Value]>,
    /// Whether a model that can think is to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enable_thinking: Option<bool>,
    /// The same by another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<bool>,
    /// How hard it is to think.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_effort: Option<&'static str>,
}

/// A template that was read.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Reads `source`; `bos` and `eos` are the texts of the tokens that begin and end a sequence.
    ///
    /// # Errors
    /// What is wrong with it, to be read after the file's name.
    pub(super) fn new(source: String, bos: String, eos: String) -> Result<Self, String> {
        if source.len() > MAX_TEMPLATE {
            return Err("has a chat template of more than a megabyte".to_owned());
        }
        let mut environment = Environment::new();
        // As `transformers` runs them, for which they are written.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| format!("cannot be used: {error}"))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", refuse);
        environment.add_function("strftime_now", now);
        environment.add_filter("tojson", to_json);
        // As in Python: what is not there is nothing to go through.
        environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
        environment.set_fuel(Some(FUEL));
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| format!("has a chat template that cannot be read (line {})", error.line().unwrap_or(0)))?;
        Ok(Self { environment, bos, eos })
    }

    /// Whether it looks at a variable called `name`.
    pub(super) fn knows(&self, name: &str) -> bool {
        let template = self.environment.get_template(NAME);
        template.is_ok_and(|template| template.undeclared_variables(false).contains(name))
    }

    /// The conversation as the model expects it, up to where its answer begins; `None` where the template refuses it, in
    /// whatever way it may be put.
    pub(super) fn render(&self, given: Given<'_>) -> Option<String> {
        let merged = || self.render_as_is(Given { messages: &alternating(given.messages), ..given });
        // Its steps may have other names.
        let unhurried = || self.render(Given { reasoning_effort: None, ..given });
        let rendered = self.render_as_is(given).or_else(merged);
        if given.reasoning_effort.is_some() { rendered.or_else(unhurried) } else { rendered }
    }

    fn render_as_is(&self, given: Given<'_>) -> Option<String> {
        #[derive(Serialize)]
        struct All<'a> {
            #[serde(flatten)]
            given: Given<'a>,
            add_generation_prompt: bool,
            bos_token: &'a str,
            eos_token: &'a str,
        }
        let all = All { given, add_generation_prompt: true, bos_token: &self.bos, eos_token: &self.eos };
        // Why not is of no use to anybody: an error may quote what it was given.
        self.environment.get_template(NAME).ok()?.render(Serde(all)).ok()
    }
}

/// The same conversation for templates without a system role, or in which roles must alternate: what the system says
/// stands at the beginning of what the user says next, and who speaks twice speaks once, longer.
fn alternating(turns: &[Turn]) -> Vec<Turn> {
    let mut merged: Vec<Turn> = Vec::with_capacity(turns.len());
    for turn in turns {
        let role = if turn.role == "system" { "user" } else { turn.role };
        let calls_nothing = |turn: &Turn| turn.calls.is_empty() && turn.call_id.is_none();
        match merged.last_mut().filter(|last| last.role == role && calls_nothing(last) && calls_nothing(turn)) {
            Some(last) => {
                last.content.push_str("\n\n");
                last.content.push_str(&turn.content);
            }
            None => merged.push(Turn { role, ..turn.clone() }),
        }
    }
    merged
}

/// JSON as Python writes it, which templates expect: on one line with blanks behind commas and colons, or indented.
pub(super) fn dump(value: &impl Serialize, indent: Option<usize>) -> String {
    let mut out = Vec::new();
    let written = match indent {
        Some(indent) => {
            let indent = " ".repeat(indent);
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)),
    };
    // Into memory, and of values that have a form in JSON: neither can fail.
    written.map(|()| String::from_utf8(out).unwrap_or_default()).unwrap_or_default()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Templates' `tojson`: `transformers` gives it the words of Python's `json.dumps`.
fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // These change nothing that is asked for here.
    for name in ["ensure_ascii", "sort_keys", "separators"] {
        options.get::<Option<Value>>(name)?;
    }
    options.assert_all_used()?;
    if indent > Some(MAX_INDENT) {
        return Err(Error::new(ErrorKind::InvalidOperation, "the template indents too far"));
    }
    Ok(dump(value, indent))
}

fn refuse(_why: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "the template refuses the conversation"))
}

/// The date, for templates that tell it to the model.
fn now(format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, jiff::Timestamp::now())
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, "the template asks for no known form of a date"))
}

#[cfg(test)]
mod tests {
    use super::{ChatTemplate, Given, Turn, dump};
    use crate::chat::request::Role;

    fn turns(all: &[(&'static str, &str)]) -> Vec<Turn> {
        let of = |(role, content): &(&'static str, &str)| Turn { role, ..Turn::new(Role::User, (*content).to_owned()) };
        all.iter().map(of).collect()
    }

    fn render(template: &ChatTemplate, turns: &[Turn]) -> Option<String> {
        template.render(Given { messages: turns, ..Given::default() })
    }

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source.to_owned(), "<s>".to_owned(), "</s>".to_owned()).unwrap()
    }

    const CONVERSATION: [(&str, &str); 4] =
        [("system", "Be kind."), ("user", "Hello!"), ("assistant", "Hi."), ("user", "  How are you? ")];

    /// Written for these tests in the manner of each family.
    const CHATML: &str = "
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
";
    const LLAMA: &str = "
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = '' %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' + system + '<|eot_id|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
";
    const MISTRAL: &str = "
{%- if messages[0].role == 'system' %}
    {%- set system, rest = messages[0].content, messages[1:] %}
{%- else %}
    {%- set rest = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in rest %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {%- if message.role == 'user' %}
        {%- if loop.last and system is defined %}
            {{- '[INST] ' + system + '\\n\\n' + message.content + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message.content + '[/INST]' }}
        {%- endif %}
    {%- else %}
        {{- ' ' + message.content.strip() + eos_token }}
    {%- endif %}
{%- endfor %}
";
    const GEMMA: &str =
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}
{% for message in messages %}
    {% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";

    #[test]
    fn each_family_is_written_as_its_template_says() {
        let families = [("chatml", CHATML), ("llama", LLAMA), ("mistral", MISTRAL), ("gemma", GEMMA)];
        let written = families.map(|(name, source)| {
            let rendered = render(&template(source), &turns(&CONVERSATION)).expect(name);
            format!("== {name}\n{rendered}")
        });
        insta::assert_snapshot!(written.join("\n"));
    }

    #[test]
    fn who_speaks_twice_speaks_once_longer_where_roles_must_alternate() {
        let twice = turns(&[("user", "One."), ("user", "Two."), ("assistant", "Three."), ("user", "Four.")]);
        let rendered = render(&template(MISTRAL), &twice).unwrap();
        assert_eq!(rendered, "<s>[INST] One.\n\nTwo.[/INST] Three.</s>[INST] Four.[/INST]");
        // Where they need not, nothing is merged.
        assert_eq!(render(&template(CHATML), &twice).unwrap().matches("<|im_start|>user").count(), 3);
    }

    #[test]
    fn what_no_way_of_putting_it_makes_acceptable_is_refused() {
        assert_eq!(render(&template("{{ raise_exception('never') }}"), &turns(&CONVERSATION)), None);
    }

    #[test]
    fn a_template_that_is_no_jinja_is_told_by_its_line_and_one_that_runs_on_is_stopped() {
        let broken = ChatTemplate::new("a\n{% if %}".to_owned(), String::new(), String::new()).err();
        assert_eq!(broken, Some("has a chat template that cannot be read (line 2)".to_owned()));
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}";
        assert_eq!(render(&template(endless), &turns(&CONVERSATION)), None);
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value: serde_json::Value = serde_json::from_str(r#"{"b": [1, 2.5, {}], "a": "é\"<"}"#).unwrap();
        assert_eq!(dump(&value, None), r#"{"b": [1, 2.5, {}], "a": "é\"<"}"#);
        assert_eq!(dump(&value, Some(2)), "{\n  \"b\": [\n    1,\n    2.5,\n    {}\n  ],\n  \"a\": \"é\\\"<\"\n}");
        let tools = [value];
        let rendered = |source: &str| template(source).render(Given { tools: Some(&tools), ..Given::default() });
        assert_eq!(rendered("{{ tools[0] | tojson }}").as_deref(), Some(r#"{"b": [1, 2.5, {}], "a": "é\"<"}"#));
        assert_eq!(rendered("{{ tools[0].b | tojson(indent=1) }}").as_deref(), Some("[\n 1,\n 2.5,\n {}\n]"));
        assert_eq!(rendered("{{ tools | tojson(ensure_ascii=false) | length }}").as_deref(), Some("34"));
        assert_eq!(rendered("{{ tools | tojson(indent=1000) }}"), None);
    }

    #[test]
    fn a_template_knows_what_it_looks_at_and_does_not_set_itself() {
        let source =
            "{% set mine = 1 %}{{ mine }}{% if enable_thinking is defined and not enable_thinking %}-{% endif %}";
        let known = template(source);
        assert!(known.knows("enable_thinking") && !known.knows("mine") && !known.knows("reasoning_effort"));
    }

    #[test]
    fn tools_that_are_not_there_cannot_be_gone_through() {
        let source = "{{ tools is iterable and tools | length > 0 }} {{ 'a' is iterable }} {{ messages is iterable }}";
        assert_eq!(render(&template(source), &turns(&CONVERSATION)).as_deref(), Some("False True True"));
    }

    #[test]
    fn a_template_can_tell_the_date() {
        let rendered = render(&template("{{ strftime_now('%d %b %Y') }}"), &turns(&CONVERSATION)).unwrap();
        assert_eq!(rendered.len(), "26 Jul 2024".len(), "{rendered}");
    }
}
