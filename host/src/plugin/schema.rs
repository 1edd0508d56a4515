//! Finds, in a plugin's settings, what its JSON Schema has no place for: misspelled keys, all of them
//! at once, also where the author forgot to refuse them. Whether the values fit is decided by the
//! plugin's own parser, which says more than a schema can.

use std::{collections::HashSet, ptr};

use serde_json::{Map, Value};

mod sound;

pub(crate) use sound::mistake_of;
pub(super) use sound::sound;

/// Where several schemas speak of the same value.
const COMBINATIONS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Something that the schema has no place for.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Mistake {
    /// JSON pointer of the value.
    pub(super) pointer: String,
    /// What is wrong.
    pub(super) message: String,
}

/// Everything in `value` that `schema` has no place for. What this does not understand of a schema
/// it lets pass.
pub(super) fn mistakes(schema: &Value, value: &Value) -> Vec<Mistake> {
    if matches!(schema, Value::Null | Value::Bool(false)) {
        return no_settings(value);
    }
    let mut found = Vec::new();
    let schema = Schema { root: schema };
    schema.check(&schema.all(), value, "", &mut found);
    found
}

/// A plugin without a schema is one without settings.
fn no_settings(value: &Value) -> Vec<Mistake> {
    let none = match value {
        Value::Null => true,
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    };
    let message = || "this plugin takes no settings; remove them".to_owned();
    let mistake = || Mistake { pointer: String::new(), message: message() };
    if none { Vec::new() } else { vec![mistake()] }
}

/// A JSON Schema, read without what it cannot say by itself: nothing outside it is ever fetched.
#[derive(Clone, Copy)]
pub(super) struct Schema<'s> {
    root: &'s Value,
}

/// Schemas that speak of the same value.
pub(super) type Schemas<'s> = Vec<&'s Map<String, Value>>;

impl<'s> Schema<'s> {
    pub(super) const fn new(root: &'s Value) -> Self {
        Self { root }
    }

    /// Those that speak of the whole value.
    pub(super) fn all(self) -> Schemas<'s> {
        self.branches([self.root])
    }

    /// Those that speak of each item of an array that `schemas` speak of.
    pub(super) fn items(self, schemas: &Schemas<'s>) -> Schemas<'s> {
        let lists = schemas.iter().filter_map(|s| s.get("prefixItems")?.as_array()).flatten();
        self.branches(schemas.iter().filter_map(|s| s.get("items")).chain(lists))
    }

    /// Those that speak of the value at `key`.
    pub(super) fn at(self, schemas: &Schemas<'s>, key: &str) -> Schemas<'s> {
        self.branches(schemas.iter().flat_map(|schema| {
            let named = schema.get("properties").and_then(|all| all.get(key));
            // Which of the patterns a key fits is left open: it takes what any of them allows.
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            let patterns = patterns.into_iter().flat_map(Map::values);
            named.or_else(|| schema.get("additionalProperties")).into_iter().chain(patterns)
        }))
    }

    /// References followed and combinations flattened. Each schema once: one may refer to itself, and
    /// a few that refer to each other are more paths than anybody could walk.
    fn branches(self, schemas: impl IntoIterator<Item = &'s Value>) -> Schemas<'s> {
        let mut open: Vec<_> = schemas.into_iter().collect();
        open.reverse();
        let (mut all, mut known) = (Schemas::new(), HashSet::new());
        while let Some(schema) = open.pop() {
            let Some(object) = schema.as_object() else { continue };
            if !known.insert(ptr::from_ref(object)) {
                continue;
            }
            all.push(object);
            let reference = object.get("$ref").and_then(Value::as_str);
            open.extend(reference.and_then(|reference| self.resolve(reference)));
            open.extend(["then", "else"].iter().filter_map(|key| object.get(*key)));
            let lists = COMBINATIONS.iter().filter_map(|key| object.get(*key)?.as_array());
            open.extend(lists.flatten());
        }
        all
    }

    /// What `#/$defs/Name` means.
    fn resolve(self, reference: &str) -> Option<&'s Value> {
        self.root.pointer(&percent_decoded(reference.strip_prefix('#')?)?)
    }

    fn check(self, schemas: &Schemas<'s>, value: &Value, at: &str, found: &mut Vec<Mistake>) {
        match value {
            Value::Object(entries) => self.check_object(schemas, entries, at, found),
            Value::Array(items) => {
                let inner = self.items(schemas);
                for (i, item) in items.iter().enumerate() {
                    self.check(&inner, item, &format!("{at}/{i}"), found);
                }
            }
            _ => {}
        }
    }

    fn check_object(
        self,
        schemas: &Schemas<'s>,
        entries: &Map<String, Value>,
        at: &str,
        found: &mut Vec<Mistake>,
    ) {
        let declared =
            |schema: &&'s Map<String, Value>| schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> =
            schemas.iter().filter_map(declared).flat_map(Map::keys).map(String::as_str).collect();
        // A schema that names no properties says nothing about them; one that describes others than
        // those it names takes any key.
        let open = known.is_empty()
            && schemas.iter().all(|s| s.get("additionalProperties") != Some(&Value::Bool(false)))
            || schemas.iter().any(|s| {
                s.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false))
                    || s.contains_key("patternProperties")
            });
        for (key, value) in entries {
            let pointer = format!("{at}/{}", escaped(key));
            let inner = self.at(schemas, key);
            if inner.is_empty() && !open && !known.contains(&key.as_str()) {
                let message = crate::config::suggest::closest(key, known.iter().copied())
                    .map_or_else(
                        || format!("unknown key `{key}`; known are {}", listed(&known)),
                        |meant| format!("unknown key `{key}`; did you mean `{meant}`?"),
                    );
                found.push(Mistake { pointer, message });
            } else {
                self.check(&inner, value, &pointer, found);
            }
        }
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// `None` where `%` is not followed by two digits, or what comes out is no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn listed(known: &[&str]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(schema: &Value, value: &Value) -> Vec<String> {
        mistakes(schema, value)
            .into_iter()
            .map(|m| format!("{}: {}", m.pointer, m.message))
            .collect()
    }

    #[test]
    fn every_misspelled_key_is_named_with_what_was_meant() {
        let schema = json!({
            "properties": {
                "endpoint": {"type": "string"},
                "limits": {"anyOf": [{"$ref": "#/$defs/Limits"}, {"type": "null"}]},
                "mounts": {"type": "array", "items": {"$ref": "#/$defs/Mount"}},
            },
            "$defs": {
                "Limits": {"properties": {"memory": {}}, "additionalProperties": false},
                "Mount": {"properties": {"from": {}, "to": {}}},
            },
        });
        let value = json!({
            "endpiont": 1, "zzz": 2, "limits": {"memroy": 1},
            "mounts": [{"from": 1}, {"form": 1, "a/b": 2}],
        });
        assert_eq!(
            said(&schema, &value),
            [
                "/endpiont: unknown key `endpiont`; did you mean `endpoint`?",
                "/limits/memroy: unknown key `memroy`; did you mean `memory`?",
                "/mounts/1/a~1b: unknown key `a/b`; known are `from`, `to`",
                "/mounts/1/form: unknown key `form`; did you mean `from`?",
                "/zzz: unknown key `zzz`; known are `endpoint`, `limits`, `mounts`",
            ]
        );
    }

    #[test]
    fn a_map_of_the_authors_own_keys_takes_any_key() {
        let schema = json!({"properties": {"env": {
            "type": "object", "additionalProperties": {"properties": {"value": {}}},
        }}});
        assert_eq!(said(&schema, &json!({"env": {"ANY": {"value": 1}}})), [""; 0]);
        assert_eq!(
            said(&schema, &json!({"env": {"ANY": {"valeu": 1}}})),
            ["/env/ANY/valeu: unknown key `valeu`; did you mean `value`?",]
        );
    }

    #[test]
    fn a_plugin_without_settings_takes_none() {
        let schema = json!({"type": "object", "additionalProperties": false});
        assert_eq!(said(&schema, &json!({"a": 1})), ["/a: unknown key `a`; known are none"]);
    }

    #[test]
    fn a_plugin_without_a_schema_takes_no_settings() {
        for schema in [Value::Null, json!(false)] {
            assert_eq!(said(&schema, &json!({})), [""; 0]);
            assert_eq!(said(&schema, &Value::Null), [""; 0]);
            assert_eq!(
                said(&schema, &json!({"a": 1})),
                [": this plugin takes no settings; remove them"]
            );
        }
        assert_eq!(said(&json!(true), &json!({"a": 1})), [""; 0], "this one takes anything");
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#"});
        assert_eq!(said(&schema, &json!({"a": {"b": 1}})), [""; 0]);
        // As paths these are more than anybody could walk.
        let all: Vec<_> = (0..64).map(|i| json!({"$ref": format!("#/$defs/{i}")})).collect();
        let defs: Map<_, _> = (0..64)
            .map(|i| (i.to_string(), json!({"allOf": all, "properties": {"a": {}}})))
            .collect();
        let schema = json!({"allOf": all, "$defs": defs});
        assert_eq!(
            said(&schema, &json!({"a": 1, "b": 1})).len(),
            1,
            "and what is wrong is still found"
        );
    }

    #[test]
    fn a_name_in_a_reference_may_be_percent_encoded() {
        let schema = json!({
            "$ref": "#/$defs/Box%3C%C3%A4%3E", "$defs": {"Box<ä>": {"properties": {"good": {}}}},
        });
        assert_eq!(
            said(&schema, &json!({"god": 1})),
            ["/god: unknown key `god`; did you mean `good`?"]
        );
    }
}
