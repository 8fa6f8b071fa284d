//! The form of the answer as vLLM and llama.cpp's server take it, in fields of their own.

use super::Decoder;
use crate::chat::request::Schema;
use crate::chat::{Grammar, Json, ResponseFormat, Source, Text};
use crate::dialect::field::At;
use crate::dialect::openai::shape;
use crate::dialect::{BadRequest, Feature};

/// A field that says the form of the answer.
#[derive(Clone, Copy)]
pub struct Field {
    name: &'static str,
    /// What stands in it; `None` where its members say that.
    kind: Option<Kind>,
}

#[derive(Clone, Copy)]
enum Kind {
    Grammar,
    Regex,
    Choice,
    Schema,
    /// Whether it must be some JSON object.
    Object,
}

/// The field called `key`, where it is one.
pub fn field(key: &str) -> Option<Field> {
    let (name, kind) = match key {
        "structured_outputs" => ("structured_outputs", None),
        "grammar" => ("grammar", Some(Kind::Grammar)),
        "json_schema" => ("json_schema", Some(Kind::Schema)),
        "guided_grammar" => ("guided_grammar", Some(Kind::Grammar)),
        "guided_regex" => ("guided_regex", Some(Kind::Regex)),
        "guided_choice" => ("guided_choice", Some(Kind::Choice)),
        "guided_json" => ("guided_json", Some(Kind::Schema)),
        _ => return None,
    };
    Some(Field { name, kind })
}

/// The member of `structured_outputs` called `key`, where it says the form.
fn member(key: &str) -> Option<Kind> {
    Some(match key {
        "grammar" => Kind::Grammar,
        "regex" => Kind::Regex,
        "choice" => Kind::Choice,
        "json" => Kind::Schema,
        "json_object" => Kind::Object,
        _ => return None,
    })
}

impl<'a> Decoder<'a> {
    /// Understands `field`, which all is a part of the request.
    pub fn form(&mut self, at: &At<'_>, field: Field, json: &'a Json<'a>) -> Result<(), BadRequest> {
        self.draft.parts.tree(json, Source::ToolDefinition);
        if let Some(kind) = field.kind {
            return self.form_of(at, field, kind, json);
        }
        for given in at.object(json)?.iter().filter(|given| !given.value.is_null()) {
            match member(&given.key) {
                Some(kind) => self.form_of(&at.key(&given.key), field, kind, &given.value)?,
                None => self.draft.unknown_value(&given.value),
            }
        }
        Ok(())
    }

    fn form_of(&mut self, at: &At<'_>, field: Field, kind: Kind, json: &'a Json<'a>) -> Result<(), BadRequest> {
        let form = match kind {
            Kind::Grammar => shape::grammar(&mut self.draft, at, json)?,
            Kind::Regex => shape::regex(&mut self.draft, at, json)?,
            Kind::Choice => self.choice(at, json)?,
            Kind::Schema => self.schema(at, json)?,
            Kind::Object if at.boolean(json)? => {
                self.draft.uses.insert(Feature::JsonObject);
                self.draft.uses.insert(Feature::ServerForm);
                ResponseFormat::JsonObject
            }
            Kind::Object => return Ok(()),
        };
        match self.form.replace((field.name, form)) {
            Some(_) => Err(at.invalid("be the only form of the answer")),
            None => Ok(()),
        }
    }

    fn choice(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<ResponseFormat, BadRequest> {
        let texts = at.array(json)?.iter().enumerate().map(|(index, text)| at.index(index).string(text));
        let texts = texts.map(|text| text.map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
        if texts.is_empty() {
            return Err(at.invalid("not be empty"));
        }
        self.draft.uses.insert(Feature::Grammar);
        Ok(ResponseFormat::Grammar(Grammar::one_of(texts)))
    }

    /// A schema, or the text of one. These servers hold answers to it, or refuse it.
    fn schema(&mut self, at: &At<'_>, json: &'a Json<'a>) -> Result<ResponseFormat, BadRequest> {
        let schema = match json.as_str() {
            Some(text) if Json::parse(text.as_bytes()).is_ok_and(|schema| schema.as_object().is_some()) => {
                Text::new(text.to_owned())
            }
            Some(_) => return Err(at.invalid("be a JSON schema, which is an object")),
            None => {
                at.object(json)?;
                self.draft.verbatim(json)
            }
        };
        self.draft.uses.insert(Feature::JsonSchema);
        self.draft.uses.insert(Feature::ServerForm);
        Ok(ResponseFormat::JsonSchema(Schema { schema: Some(schema), strict: Some(true), ..Schema::default() }))
    }
}

#[cfg(test)]
mod tests;
