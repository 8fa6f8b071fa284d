//! What form an answer must have, and which tokens may come next for it to have that.

mod lark;

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, SimpleVob, TokEnv};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Map, Value, json};

use super::EngineError;
use super::model::Token;
use crate::chat::ResponseFormat;

/// Makes forms for one model's vocabulary. To make this takes a while, to make a form from it does not.
pub(super) struct Forms {
    factory: Arc<ParserFactory>,
    vocabulary: TokEnv,
}

/// The form of one answer, and how far that has come.
pub(super) struct Form {
    matcher: Matcher,
}

impl Forms {
    /// # Errors
    /// What is wrong with the vocabulary, to be read after the file's name.
    pub(super) fn new(vocabulary: &TokEnv) -> Result<Self, String> {
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let factory = ParserFactory::new(vocabulary, InferenceCapabilities::default(), &slices);
        let mut factory = factory.map_err(|_| "has a vocabulary that no grammar can be built on".to_owned())?;
        // What it would print quotes schemas.
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory: Arc::new(factory), vocabulary: vocabulary.clone() })
    }

    /// The form that `format` asks for, if any.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for a schema or a grammar that cannot be enforced.
    pub(super) fn of(&self, format: &ResponseFormat) -> Result<Option<Form>, EngineError> {
        if let ResponseFormat::Grammar(grammar) = format {
            return self.lark(lark::rules(grammar, "start")).map(Some).map_err(|_| TOO_LARGE);
        }
        match schema(format)? {
            Some(schema) => self.build(TopLevelGrammar::from_json_schema(schema)).map(Some),
            None => Ok(None),
        }
    }

    /// The form that a grammar in Lark's notation says.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] where it, or a schema in it, cannot be enforced.
    pub(super) fn lark(&self, grammar: String) -> Result<Form, EngineError> {
        self.build(TopLevelGrammar::from_lark(grammar))
    }

    /// `form` after `text`, in whatever tokens that came; `None` where it does not begin so.
    pub(super) fn after(&self, form: &Form, text: &str) -> Option<Form> {
        let mut form = Form { matcher: form.matcher.deep_clone() };
        let tokens = self.vocabulary.tok_trie().greedy_tokenize(text.as_bytes());
        form.matcher.consume_tokens(&tokens).ok().map(|()| form)
    }

    fn build(&self, grammar: TopLevelGrammar) -> Result<Form, EngineError> {
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        // The reason may quote the schema.
        if matcher.is_error() { Err(UNENFORCEABLE) } else { Ok(Form { matcher }) }
    }
}

impl Form {
    /// The tokens that may come next.
    ///
    /// # Errors
    /// [`EngineError::Decode`] where finding them out takes too much.
    pub(super) fn allowed(&mut self) -> Result<SimpleVob, EngineError> {
        self.matcher.compute_mask_or_eos().map_err(|_| too_much())
    }

    /// Goes on by `token`.
    ///
    /// # Errors
    /// [`EngineError::Decode`] for one that was not allowed.
    pub(super) fn accept(&mut self, token: Token) -> Result<(), EngineError> {
        self.matcher.consume_token(token.cast_unsigned()).map_err(|_| too_much())
    }

    /// Whether nothing more can follow.
    pub(super) fn is_complete(&self) -> bool {
        self.matcher.is_stopped() && !self.matcher.is_error()
    }
}

#[cfg(test)]
impl Form {
    /// Bytes that the form allows, chosen by `steps` as far as they lead, and whether the answer may end there. For
    /// vocabularies of single bytes.
    pub(super) fn walk(&mut self, steps: &[u16]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        for step in steps {
            if self.is_complete() || (step % 3 == 0 && self.may_end()) {
                return (bytes, true);
            }
            let allowed = self.allowed().unwrap();
            let next: Vec<u8> = (0..=255).filter(|byte| allowed.is_allowed(u32::from(*byte))).collect();
            let byte = next[usize::from(*step) % next.len()];
            self.accept(Token::from(byte)).unwrap();
            bytes.push(byte);
        }
        let ends = self.is_complete() || self.may_end();
        (bytes, ends)
    }

    /// Whether the answer may end now.
    pub(super) fn may_end(&mut self) -> bool {
        self.matcher.is_accepting().unwrap()
    }
}

pub(super) const UNENFORCEABLE: EngineError =
    EngineError::Unsupported("this JSON schema: it is none, or uses what cannot be enforced");

const TOO_LARGE: EngineError = EngineError::Unsupported("this grammar: it takes too much to enforce");

fn too_much() -> EngineError {
    EngineError::Decode("the form of the answer takes too much to enforce".to_owned())
}

/// The rule `answer` in Lark's notation for what `format` asks for, if anything, and the rules below it.
///
/// # Errors
/// [`EngineError::Unsupported`] for a schema that is none.
pub(super) fn answer(format: &ResponseFormat) -> Result<Option<String>, EngineError> {
    if let ResponseFormat::Grammar(grammar) = format {
        return Ok(Some(lark::rules(grammar, "answer")));
    }
    Ok(schema(format)?.map(|schema| format!("answer: %json {schema}\n")))
}

/// The JSON schema that `format` stands for, with how it is to be written.
fn schema(format: &ResponseFormat) -> Result<Option<Value>, EngineError> {
    let (schema, strict) = match format {
        ResponseFormat::Text | ResponseFormat::Grammar(_) => return Ok(None),
        ResponseFormat::JsonObject => (any_object(), true),
        ResponseFormat::JsonSchema(asked) => {
            let strict = asked.strict.unwrap_or(false);
            match &asked.schema {
                Some(schema) => (serde_json::from_str(schema.expose()).map_err(|_| UNENFORCEABLE)?, strict),
                None => (any_object(), strict),
            }
        }
    };
    Ok(Some(styled(schema, strict)))
}

/// `schema`, to be written on one line, so that no model fills its answer with blanks.
pub(super) fn styled(mut schema: Map<String, Value>, strict: bool) -> Value {
    let style = json!({
        "whitespace_flexible": false,
        "item_separator": ", ",
        "key_separator": ": ",
        // As at OpenAI, a schema that is not strict is followed as far as it can be.
        "lenient": !strict,
    });
    schema.insert("x-guidance".to_owned(), style);
    Value::Object(schema)
}

fn any_object() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "object".into())])
}

#[cfg(test)]
mod tests {
    use llguidance::toktrie::ApproximateTokEnv;
    use serde_json::{Value, json};

    use super::{Form, Forms};
    use crate::chat::ResponseFormat;
    use crate::chat::request::Schema;
    use crate::dispatch::local::EngineError;
    use crate::dispatch::local::model::Token;

    fn form(format: &ResponseFormat) -> Result<Option<Form>, EngineError> {
        Forms::new(&ApproximateTokEnv::single_byte_env()).unwrap().of(format)
    }

    fn schema(strict: bool, schema: &Value) -> ResponseFormat {
        let schema = Some(schema.to_string().into());
        ResponseFormat::JsonSchema(Schema { strict: Some(strict), schema, ..Schema::default() })
    }

    /// How much of `text` the form lets through, and whether the answer is over then.
    fn follow(format: &ResponseFormat, text: &str) -> (usize, bool) {
        let mut form = form(format).unwrap().unwrap();
        for (at, byte) in text.bytes().enumerate() {
            if !form.allowed().unwrap().is_allowed(u32::from(byte)) {
                return (at, form.is_complete());
            }
            form.accept(Token::from(byte)).unwrap();
        }
        (text.len(), form.is_complete())
    }

    #[test]
    fn text_has_no_form() {
        assert!(form(&ResponseFormat::Text).unwrap().is_none());
    }

    #[test]
    fn an_object_is_over_with_its_brace_and_is_nothing_else() {
        let whole = r#"{"a": [1, {"b": "é \n"}], "c": null}"#;
        assert_eq!(follow(&ResponseFormat::JsonObject, whole), (whole.len(), true));
        for other in ["[1]", "\"a\"", "Sure!", " {"] {
            assert_eq!(follow(&ResponseFormat::JsonObject, other), (0, false), "{other}");
        }
        assert_eq!(follow(&ResponseFormat::JsonObject, "{}x"), (2, true));
    }

    #[test]
    fn a_schema_is_followed_in_the_order_of_its_properties() {
        let format = schema(
            true,
            &json!({
                "type": "object",
                "properties": {
                    "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
                    "age": {"type": "integer", "minimum": 0, "maximum": 120},
                    "kind": {"enum": ["a", "b"]},
                },
                "required": ["zip", "age", "kind"],
                "additionalProperties": false,
            }),
        );
        let whole = r#"{"zip": "89073", "age": 120, "kind": "b"}"#;
        assert_eq!(follow(&format, whole), (whole.len(), true));
        for (wrong, until) in [
            (r#"{"age": 1"#, 2),
            (r#"{"zip": "8907x"#, 13),
            (r#"{"zip": "89073", "age": 121"#, 26),
            (r#"{"zip": "89073", "age": 1}"#, 25),
            (r#"{"zip": "89073", "age": 1, "kind": "c"#, 36),
        ] {
            assert_eq!(follow(&format, wrong), (until, false), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_enforced_is_refused_where_strict_and_left_out_where_not() {
        let odd = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "unevaluatedProperties": false});
        assert!(matches!(form(&schema(true, &odd)), Err(EngineError::Unsupported(_))));
        assert_eq!(follow(&schema(false, &odd), r#"{"a": "x"#), (6, false));
        for nonsense in [json!(1), json!({"type": "no such type"}), json!({"$ref": "#/nowhere"})] {
            assert!(matches!(form(&schema(true, &nonsense)), Err(EngineError::Unsupported(_))), "{nonsense}");
        }
    }

    #[test]
    fn a_form_goes_on_behind_what_was_written_in_other_tokens() {
        let forms = Forms::new(&ApproximateTokEnv::single_byte_env()).unwrap();
        let whole = forms.lark("start: \"one two\"".to_owned()).unwrap();
        let mut rest = forms.after(&whole, "one t").unwrap();
        assert!(rest.allowed().unwrap().is_allowed(u32::from(b'w')));
        for byte in *b"wo" {
            rest.accept(Token::from(byte)).unwrap();
        }
        assert!(rest.is_complete() && !whole.is_complete());
        assert!(forms.after(&whole, "two").is_none());
    }

    #[test]
    fn a_client_does_not_say_how_its_schema_is_read() {
        let format = schema(true, &json!({"type": "object", "x-guidance": {"whitespace_flexible": true}}));
        assert_eq!(follow(&format, "{ "), (1, false));
    }
}
