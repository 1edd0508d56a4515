//! Whether a schema is one, and speaks for itself.

use serde_json::{Map, Value};

use super::{COMBINATIONS, Schema, escaped};
use crate::plugin::problem::{Code, PluginProblem};

/// Refuses what is no JSON Schema: another value than an object or a boolean in the place of one, and
/// references that lead nowhere or out of it. Nothing is fetched: neither from the network nor from a
/// file. `null` is how a plugin says that it has no settings.
///
/// # Errors
///
/// `E_SCHEMA`, with the pointer of the first place that is wrong.
pub(in crate::plugin) fn sound(schema: &Value) -> Result<(), PluginProblem> {
    if schema.is_null() {
        return Ok(());
    }
    Schema { root: schema }.sound_at(schema, "").map_err(|(pointer, what)| {
        let message = format!("the JSON Schema of its settings is none: at `{pointer}`, {what}");
        PluginProblem::new(Code::Schema, message)
    })
}

/// What [`sound`] would refuse it for.
pub(crate) fn mistake_of(schema: &Value) -> Option<String> {
    sound(schema).err().map(|problem| problem.message)
}

/// Keywords whose value is a schema; `items` may be several.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is an object of schemas.
const NAMED: [&str; 5] =
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Where, and what is wrong there.
type Flaw = (String, String);

impl Schema<'_> {
    fn sound_at(self, schema: &Value, at: &str) -> Result<(), Flaw> {
        let object = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(object) => object,
            other => return Err((at.to_owned(), format!("{} is no schema", brief(other)))),
        };
        self.sound_references(object, at)?;
        // What stands under another keyword is no schema: in `default` or `const` a `$ref` is a value.
        for key in ONE {
            match object.get(key) {
                Some(Value::Array(several)) if key == "items" => {
                    self.sound_list(several, &format!("{at}/{key}"))?;
                }
                Some(inner) => self.sound_at(inner, &format!("{at}/{key}"))?,
                None => {}
            }
        }
        for key in COMBINATIONS.into_iter().chain(["prefixItems"]) {
            match object.get(key) {
                Some(Value::Array(several)) => self.sound_list(several, &format!("{at}/{key}"))?,
                Some(other) => {
                    return Err((format!("{at}/{key}"), format!("{} is no list", brief(other))));
                }
                None => {}
            }
        }
        for key in NAMED {
            match object.get(key) {
                Some(Value::Object(named)) => {
                    for (name, inner) in named {
                        self.sound_at(inner, &format!("{at}/{key}/{}", escaped(name)))?;
                    }
                }
                Some(other) => {
                    return Err((format!("{at}/{key}"), format!("{} is no object", brief(other))));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn sound_list(self, schemas: &[Value], at: &str) -> Result<(), Flaw> {
        schemas
            .iter()
            .enumerate()
            .try_for_each(|(i, inner)| self.sound_at(inner, &format!("{at}/{i}")))
    }

    fn sound_references(self, schema: &Map<String, Value>, at: &str) -> Result<(), Flaw> {
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(reference) = schema.get(key) else { continue };
            let flaw = |what: String| Err((format!("{at}/{key}"), what));
            let Some(text) = reference.as_str() else {
                return flaw(format!("{} is no reference", brief(reference)));
            };
            if !text.starts_with('#') {
                return flaw(format!(
                    "`{text}` is outside the schema, and nothing is fetched; put it under `$defs`"
                ));
            }
            match self.resolve(text) {
                Some(Value::Object(_) | Value::Bool(_)) => {}
                _ => return flaw(format!("`{text}` leads to no schema")),
            }
        }
        Ok(())
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_schemars_writes_is_sound() {
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is looked at")]
        struct Settings {
            endpoint: Option<String>,
            limits: std::collections::BTreeMap<String, Limits>,
            below: Vec<Self>,
        }
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is looked at")]
        enum Limits {
            None,
            Bytes(u64),
        }
        let schema = schemars::schema_for!(Settings).to_value();
        assert!(schema.to_string().contains("#/$defs/Limits"), "{schema}");
        sound(&schema).expect("it is a schema");
    }

    #[test]
    fn a_schema_may_say_little_and_be_sound() {
        for schema in [
            Value::Null,
            json!(true),
            json!({}),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema"}),
            json!({"properties": {"$ref": {"type": "string"}}}),
            json!({"default": {"$ref": "https://example.com/x"}, "const": {"$ref": 7}}),
            json!({"$ref": "#", "items": [true, {}]}),
        ] {
            sound(&schema).unwrap_or_else(|problem| panic!("{schema}: {problem}"));
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_by_its_place() {
        for (schema, says) in [
            (json!("object"), "at ``, a text is no schema"),
            (json!({"properties": {"a/b": 7}}), "at `/properties/a~1b`, a number is no schema"),
            (json!({"properties": []}), "at `/properties`, a list is no object"),
            (json!({"anyOf": {}}), "at `/anyOf`, an object is no list"),
            (json!({"items": [true, null]}), "at `/items/1`, null is no schema"),
            (
                json!({"$defs": {"A": {"$ref": "https://example.com/schema.json"}}}),
                "at `/$defs/A/$ref`, `https://example.com/schema.json` is outside the schema, and nothing is \
                 fetched; put it under `$defs`",
            ),
            (
                json!({"allOf": [{"$ref": "file:///etc/passwd"}]}),
                "at `/allOf/0/$ref`, `file:///etc/passwd` is outside the schema, and nothing is fetched; put \
                 it under `$defs`",
            ),
            (json!({"$ref": "#/$defs/B"}), "at `/$ref`, `#/$defs/B` leads to no schema"),
            (json!({"$ref": "#name"}), "at `/$ref`, `#name` leads to no schema"),
            (json!({"$ref": "#/$ref"}), "at `/$ref`, `#/$ref` leads to no schema"),
            (json!({"$ref": true}), "at `/$ref`, a boolean is no reference"),
        ] {
            let problem = sound(&schema).expect_err("it is none");
            assert_eq!(problem.code, Code::Schema);
            let message = format!("the JSON Schema of its settings is none: {says}");
            assert_eq!(problem.to_string(), message, "{schema}");
        }
    }
}
