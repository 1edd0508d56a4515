//! Values that only a plugin understands.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{
    super::{node::Value, reader::Spot, reader::join},
    Kind,
};

/// A table that is passed on as JSON.
pub(crate) struct Opaque;

impl Kind for Opaque {
    type Out = Json;

    fn name(&self) -> String {
        "table".to_owned()
    }

    fn expected(&self) -> String {
        "a table".to_owned()
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Json> {
        match value {
            Value::Table(_) => json(value, spot, ""),
            _ => {
                spot.wrong(&self.expected(), value);
                None
            }
        }
    }

    /// The host cannot know which of a plugin's settings are secrets; names that say so are
    /// believed.
    fn show(&self, value: &Json) -> Json {
        masked(value)
    }
}

/// A table from names to values of one kind.
pub(crate) struct MapOf<K>(pub(crate) K);

impl<K: Kind> Kind for MapOf<K> {
    type Out = BTreeMap<String, K::Out>;

    fn name(&self) -> String {
        format!("table: {}", self.0.name())
    }

    fn expected(&self) -> String {
        format!("a table, each value {}", self.0.expected())
    }

    fn read(&self, value: &Value, spot: &Spot<'_>) -> Option<Self::Out> {
        let Value::Table(entries) = value else {
            spot.wrong(&self.expected(), value);
            return None;
        };
        let read: Vec<Option<(String, K::Out)>> = entries
            .iter()
            .map(|entry| {
                let spot = spot.at(entry.node.at).called(&format!("`{}`", entry.key));
                Some((entry.key.clone(), self.0.read(&entry.node.value, &spot)?))
            })
            .collect();
        read.into_iter().collect()
    }

    fn show(&self, value: &Self::Out) -> Json {
        Json::Object(value.iter().map(|(key, value)| (key.clone(), self.0.show(value))).collect())
    }
}

fn json(value: &Value, spot: &Spot<'_>, path: &str) -> Option<Json> {
    let number = || {
        spot.at(None).called(&format!("`{path}`")).wrong("a value that JSON can hold", value);
        None
    };
    match value {
        Value::Flag(flag) => Some((*flag).into()),
        Value::Float(float) => {
            serde_json::Number::from_f64(*float).map(Json::Number).or_else(number)
        }
        Value::Integer(integer) => {
            serde_json::Number::from_i128(*integer).map(Json::Number).or_else(number)
        }
        Value::List(items) => {
            let read: Vec<Option<Json>> = items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    json(&item.value, &spot.at(item.at), &format!("{path}[{index}]"))
                })
                .collect();
            read.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
        }
        Value::Moment(moment) => Some(moment.as_str().into()),
        Value::Nothing => Some(Json::Null),
        Value::Table(entries) => {
            let read: Vec<Option<(String, Json)>> = entries
                .iter()
                .map(|entry| {
                    let path = join(path, &entry.key);
                    Some((
                        entry.key.clone(),
                        json(&entry.node.value, &spot.at(entry.node.at), &path)?,
                    ))
                })
                .collect();
            read.into_iter().collect::<Option<Map<String, Json>>>().map(Json::Object)
        }
        Value::Text(text) => Some(text.as_str().into()),
    }
}

fn masked(value: &Json) -> Json {
    const TELLTALES: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "api_key"];
    match value {
        Json::Array(items) => items.iter().map(masked).collect(),
        Json::Object(map) => {
            let mask = |(key, value): (&String, &Json)| {
                let lower = key.to_ascii_lowercase();
                let secret = TELLTALES.iter().any(|word| lower.contains(word));
                (key.clone(), if secret { "(secret)".into() } else { masked(value) })
            };
            Json::Object(map.iter().map(mask).collect())
        }
        other => other.clone(),
    }
}
