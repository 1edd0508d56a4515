//! The plugin directory.

use super::finding::{Finding, failed, ok, warn};
use crate::plugin::{Code, Entry};

const SUBJECT: &str = "plugins";

pub(super) fn examine(entries: &[Entry]) -> Vec<Finding> {
    let finding = |entry: &Entry| match &entry.problem {
        None => {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            let (name, version, api) = (text(&entry.name), text(&entry.version), text(&entry.api));
            ok(SUBJECT, format!("`{name}` {version}, plugin API {api}"))
        }
        Some(problem) if problem.code == Code::Directory => failed(SUBJECT, problem.to_string()),
        // The host runs without it. An executor that needs it says so below.
        Some(problem) => {
            let way_out = "replace the file, or remove it; `longshore plugin inspect` tells more";
            warn(SUBJECT, format!("{}: {problem}", problem.code), way_out)
        }
    };
    entries.iter().map(finding).collect()
}
