//! `longshore config show`: every setting with its value and where the value comes from.

use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// A decorator in a Python module.
    Declared {
        /// The module.
        module: String,
    },
    /// Nobody: it is what the host does when nothing is said.
    Default,
    /// The configuration file.
    File {
        /// The line in it, from 1.
        line: usize,
    },
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The full path (`jobs.score.timeout`).
    pub key: String,
    /// The value as it is written in a file; null where there is none. Secrets are not shown.
    pub value: Json,
    /// Where it comes from.
    pub origin: Origin,
}

/// Every setting, in the order of the reference. Prints as TOML with the origins as comments.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Effective {
    /// The settings.
    pub settings: Vec<Setting>,
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Setting { key, value, origin } in &self.settings {
            let line = match value {
                Json::Null => format!("# {key} is not set"),
                value => format!("{key} = {}", toml(value)),
            };
            writeln!(f, "{line:<60}  # {origin}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared { module } => write!(f, "module {module}"),
            Self::Default => f.write_str("default"),
            Self::File { line } => write!(f, "line {line}"),
        }
    }
}

/// A value as TOML, on one line.
pub(super) fn toml(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) if map.is_empty() => "{}".to_owned(),
        Json::Object(map) => {
            let pair = |(key, value): (&String, &Json)| {
                format!("{} = {}", super::reader::join("", key), toml(value))
            };
            format!("{{ {} }}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        // TOML has no null; only a plugin's own settings can hold one, from JSON.
        Json::Null => "\"\"".to_owned(),
        scalar => scalar.to_string(),
    }
}
