//! What the kit needs to know of a JSON Schema.

use serde_json::{Map, Value, json};

/// Whether it has no place for unknown keys.
pub(super) fn is_closed(schema: &Value) -> bool {
    // No settings at all, said in either way.
    if matches!(schema, Value::Null | Value::Bool(false)) {
        return true;
    }
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
