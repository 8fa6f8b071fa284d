//! A model's own chat template: a Jinja program from the model file. It runs with bounded fuel and sees nothing but what
//! it is given.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

/// Steps that one rendering may take: a thousand messages take less than a hundredth.
const FUEL: u64 = 10_000_000;

/// Largest template of any honest model, several times over, in bytes.
const MAX_TEMPLATE: usize = 1 << 20;

/// The name of the only template there is.
const NAME: &str = "chat";

/// A message as templates see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Who speaks, in the words of templates.
    pub(super) role: &'static str,
    /// What is said.
    pub(super) content: String,
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
        environment.set_fuel(Some(FUEL));
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| format!("has a chat template that cannot be read (line {})", error.line().unwrap_or(0)))?;
        Ok(Self { environment, bos, eos })
    }

    /// The conversation as the model expects it, up to where its answer begins; `None` where the template refuses it, in
    /// whatever way it may be put.
    pub(super) fn render(&self, turns: &[Turn]) -> Option<String> {
        self.render_as_is(turns).or_else(|| self.render_as_is(&alternating(turns)))
    }

    fn render_as_is(&self, turns: &[Turn]) -> Option<String> {
        let messages: Vec<Value> =
            turns.iter().map(|turn| context! { role => turn.role, content => turn.content.as_str() }).collect();
        let given = context! {
            messages => messages,
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        // Why not is of no use to anybody: an error may quote what it was given.
        self.environment.get_template(NAME).ok()?.render(given).ok()
    }
}

/// The same conversation for templates without a system role, or in which roles must alternate: what the system says
/// stands at the beginning of what the user says next, and who speaks twice speaks once, longer.
fn alternating(turns: &[Turn]) -> Vec<Turn> {
    let mut merged: Vec<Turn> = Vec::with_capacity(turns.len());
    for turn in turns {
        let role = if turn.role == "system" { "user" } else { turn.role };
        match merged.last_mut().filter(|last| last.role == role) {
            Some(last) => {
                last.content.push_str("\n\n");
                last.content.push_str(&turn.content);
            }
            None => merged.push(Turn { role, content: turn.content.clone() }),
        }
    }
    merged
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
    use super::{ChatTemplate, Turn};

    fn turns(all: &[(&'static str, &str)]) -> Vec<Turn> {
        all.iter().map(|(role, content)| Turn { role, content: (*content).to_owned() }).collect()
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
            let rendered = template(source).render(&turns(&CONVERSATION)).expect(name);
            format!("== {name}\n{rendered}")
        });
        insta::assert_snapshot!(written.join("\n"));
    }

    #[test]
    fn who_speaks_twice_speaks_once_longer_where_roles_must_alternate() {
        let twice = turns(&[("user", "One."), ("user", "Two."), ("assistant", "Three."), ("user", "Four.")]);
        let rendered = template(MISTRAL).render(&twice).unwrap();
        assert_eq!(rendered, "<s>[INST] One.\n\nTwo.[/INST] Three.</s>[INST] Four.[/INST]");
        // Where they need not, nothing is merged.
        assert_eq!(template(CHATML).render(&twice).unwrap().matches("<|im_start|>user").count(), 3);
    }

    #[test]
    fn what_no_way_of_putting_it_makes_acceptable_is_refused() {
        assert_eq!(template("{{ raise_exception('never') }}").render(&turns(&CONVERSATION)), None);
    }

    #[test]
    fn a_template_that_is_no_jinja_is_told_by_its_line_and_one_that_runs_on_is_stopped() {
        let broken = ChatTemplate::new("a\n{% if %}".to_owned(), String::new(), String::new()).err();
        assert_eq!(broken, Some("has a chat template that cannot be read (line 2)".to_owned()));
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}";
        assert_eq!(template(endless).render(&turns(&CONVERSATION)), None);
    }

    #[test]
    fn a_template_can_tell_the_date() {
        let rendered = template("{{ strftime_now('%d %b %Y') }}").render(&turns(&CONVERSATION)).unwrap();
        assert_eq!(rendered.len(), "26 Jul 2024".len(), "{rendered}");
    }
}
