//! The form of policy files as types: editors complete and check by the JSON Schema made of them, and the reference is
//! printed from it. Files are *read* by [`super::load`], which knows places and says what to do; a test holds both to the
//! same keys and values.

mod choice;
mod reference;
mod rules;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

pub use self::choice::*;
pub use self::reference::{SECTIONS, reference};
pub use self::rules::*;

/// A policy file. All files of a folder load as one set; their order has no meaning.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PolicyFile {
    /// The language and its version.
    pub ajar: Version,
    /// The set's name; that of the base file counts.
    pub name: String,
    /// Who wrote it: `base` may define everything, `team` only restrict and choose.
    pub authority: Authority,
    /// How sensitive a request can be, lowest first; 1 to 64. Base files only, once in a set.
    #[schemars(length(min = 1, max = 64))]
    pub classes: Option<Vec<String>>,
    /// Classes that nothing may lower. Base files only, once in a set.
    pub sealed: Option<Vec<String>>,
    /// The class of a request that no rule knows better about. Base files only, once in a set.
    pub default_class: Option<String>,
    /// The vocabulary that keys, clients and requests bring: `key.…`, `client.…`, `request.…`, `agent.…`.
    pub attributes: Option<BTreeMap<String, Attribute>>,
    /// What looks at a request, by name: `finding.<name>` is true, false or unknown.
    pub detectors: Option<BTreeMap<String, Detector>>,
    /// Where a request may start lower than `default_class`. Base files only.
    pub baseline: Option<Vec<Baseline>>,
    /// What raises the class: every rule that is not certainly false applies, the highest class wins.
    pub classify: Option<Vec<ClassRule>>,
    /// What conversations keep of the class that they rose to. Base files only, once in a set.
    pub conversations: Option<Conversations>,
    /// Who receives content, by name, models and sinks alike; at most 64. Base files only.
    pub destinations: Option<BTreeMap<String, Destination>>,
    /// The only ways down. Base files only.
    pub declassify: Option<Vec<Declassify>>,
    /// Rules that only restrict: every one that is not certainly false applies.
    pub guards: Option<Vec<Guard>>,
    /// Spending limits: all apply.
    pub budgets: Option<Vec<Budget>>,
    /// Where prices come from. Base files only, once in a set.
    pub prices: Option<Prices>,
    /// How good a destination's answers are, by destination.
    pub estimators: Option<BTreeMap<String, Estimator>>,
    /// Rules that choose: the first by `order` that certainly applies; the last has no `when`.
    pub routes: Option<Vec<Route>>,
    /// What keeps a conversation with its model. Once in a set.
    pub affinity: Option<Affinity>,
    /// Whether the set is in force, or only tried beside another. Base files only, once in a set.
    pub rollout: Option<Rollout>,
    /// What must never happen. Base files only.
    pub invariants: Option<Vec<Invariant>>,
    /// What must come out for a given request; run whenever the set is loaded.
    pub tests: Option<Vec<Test>>,
}

/// The language's version.
#[derive(JsonSchema)]
pub enum Version {
    /// This one.
    #[schemars(rename = "policy/v1")]
    V1,
}

/// Who wrote a file.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Authority {
    /// Whoever answers for the installation.
    Base,
    /// A team, which may restrict further and choose among what is permitted.
    Team,
}

/// An amount of US dollars, such as `25 USD`.
#[derive(JsonSchema)]
#[schemars(transparent, extend("pattern" = r"^[0-9.]+ *USD$"))]
pub struct Dollars(pub String);

/// A span of time, such as `200ms`, `10s`, `30d`.
#[derive(JsonSchema)]
#[schemars(transparent, extend("pattern" = r"^[0-9]+ *[a-z]+( *[0-9]+ *[a-z]+)*$"))]
pub struct Span(pub String);

/// A condition: a subset of CEL.
#[derive(JsonSchema)]
#[schemars(transparent, extend("maxLength" = 4096))]
pub struct Condition(pub String);

/// The JSON Schema of a policy file, keys in alphabetical order.
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<PolicyFile>().to_value();
    tidy(&mut schema);
    schema
}

/// Optional means absent, never null; a text has no line breaks.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            drop_null(map);
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                    }
                    value => tidy(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(options)) = map.get_mut("anyOf") {
        options.retain(|option| option.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = &options[..] {
            let only = only.clone();
            map.remove("anyOf");
            only.into_iter().for_each(|(key, value)| {
                map.entry(key).or_insert(value);
            });
        }
    }
}
