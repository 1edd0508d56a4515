//! Finds, in a plugin's settings, what its JSON Schema has no place for: misspelled keys, all of them
//! at once, also where the author forgot to refuse them. Whether the values fit is decided by the
//! plugin's own parser, which says more than a schema can.

use serde_json::{Map, Value};

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
    let mut found = Vec::new();
    let check = Check { root: schema };
    check.walk(&check.branches(schema, 0), value, "", &mut found);
    found
}

struct Check<'s> {
    root: &'s Value,
}

/// Deeper than this a schema refers to itself.
const MAX_DEPTH: usize = 16;

impl<'s> Check<'s> {
    /// Every schema that speaks of the same value: references followed, combinations flattened.
    fn branches(&self, schema: &'s Value, depth: usize) -> Vec<&'s Map<String, Value>> {
        let Some(object) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
            return Vec::new();
        };
        let mut all = vec![object];
        if let Some(pointer) =
            object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'))
        {
            all.extend(
                self.root.pointer(pointer).into_iter().flat_map(|s| self.branches(s, depth + 1)),
            );
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let parts = object.get(key).and_then(Value::as_array).into_iter().flatten();
            all.extend(parts.flat_map(|s| self.branches(s, depth + 1)));
        }
        all
    }

    fn walk(
        &self,
        schemas: &[&'s Map<String, Value>],
        value: &Value,
        at: &str,
        found: &mut Vec<Mistake>,
    ) {
        match value {
            Value::Object(entries) => self.walk_object(schemas, entries, at, found),
            Value::Array(items) => {
                let inner: Vec<_> = schemas
                    .iter()
                    .filter_map(|s| s.get("items"))
                    .flat_map(|s| self.branches(s, 0))
                    .collect();
                for (i, item) in items.iter().enumerate() {
                    self.walk(&inner, item, &format!("{at}/{i}"), found);
                }
            }
            _ => {}
        }
    }

    fn walk_object(
        &self,
        schemas: &[&'s Map<String, Value>],
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
            let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            let inner: Vec<_> = schemas.iter().flat_map(|s| self.inside(s, key)).collect();
            if inner.is_empty() && !open && !known.contains(&key.as_str()) {
                let message = crate::config::suggest::closest(key, known.iter().copied())
                    .map_or_else(
                        || format!("unknown key `{key}`; known are {}", listed(&known)),
                        |meant| format!("unknown key `{key}`; did you mean `{meant}`?"),
                    );
                found.push(Mistake { pointer, message });
            } else {
                self.walk(&inner, value, &pointer, found);
            }
        }
    }

    fn inside(&self, schema: &'s Map<String, Value>, key: &str) -> Vec<&'s Map<String, Value>> {
        let named = schema.get("properties").and_then(|all| all.get(key));
        named
            .or_else(|| schema.get("additionalProperties"))
            .map_or_else(Vec::new, |s| self.branches(s, 0))
    }
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
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#"});
        assert_eq!(said(&schema, &json!({"a": {"b": 1}})), [""; 0]);
    }
}
