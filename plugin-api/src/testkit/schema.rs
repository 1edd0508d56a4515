//! What the kit needs to know of a JSON Schema.

use serde_json::{Map, Value, json};

/// What is wrong with it as a schema that must not be fetched from anywhere.
pub(super) fn mistake(schema: &Value) -> Option<String> {
    match schema {
        Value::Object(_) | Value::Bool(_) => {}
        other => return Some(format!("it is no schema but `{other}`")),
    }
    references(schema).into_iter().find_map(|reference| match reference.strip_prefix('#') {
        None => Some(format!("it refers to `{reference}`, which nobody fetches")),
        Some(pointer) if schema.pointer(pointer).is_none() => {
            Some(format!("it refers to `{reference}`, which is not there"))
        }
        Some(_) => None,
    })
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(map.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Whether it has no place for unknown keys.
pub(super) fn is_closed(schema: &Value) -> bool {
    ["additionalProperties", "unevaluatedProperties"]
        .iter()
        .any(|key| schema.get(key) == Some(&json!(false)))
}

/// A setting, and a value that it cannot have.
pub(super) fn wrong_value(schema: &Value) -> Option<(String, Value)> {
    let properties: &Map<_, _> = schema.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, property)| {
        let is = |kind: &str| match property.get("type")? {
            Value::String(only) => Some(only == kind),
            Value::Array(several) => Some(several.iter().any(|one| one == kind)),
            _ => None,
        };
        // Of several schemas for one value nothing is concluded.
        if is("object")? { None } else { Some((name.clone(), json!({ "no": "such value" }))) }
    })
}
