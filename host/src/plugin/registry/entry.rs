//! What an operator sees of the registry.

use std::path::PathBuf;

use serde::Serialize;

use crate::plugin::PluginProblem;

/// One row of `longshore plugin list`.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The plugin's name, if it got far enough to say it.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
    /// The API it was built with.
    pub api: Option<String>,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: Option<String>,
    /// The file, as the operator installed it.
    pub path: PathBuf,
    /// What stands between it and the host: `none`.
    pub isolation: &'static str,
    /// What became of it.
    pub state: State,
    /// Since when; milliseconds UTC.
    pub since: i64,
    /// Why it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<PluginProblem>,
    /// The executors that were made of it.
    pub executors: Vec<ExecutorEntry>,
}

/// What became of a plugin or an executor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not used, and there is a problem to say why.
    Refused,
    /// It could be used, as far as can be told without running it.
    Found,
    /// Its code is in the host.
    Loaded,
    /// The executor takes jobs.
    Ready,
}

/// One executor that was opened, or was to be.
#[derive(Clone, Debug, Serialize)]
pub struct ExecutorEntry {
    /// Its configured name.
    pub name: String,
    /// Its plugin's name.
    pub plugin: String,
    /// `ready` or `refused`.
    pub state: State,
    /// Since when; milliseconds UTC.
    pub since: i64,
    /// Why it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<PluginProblem>,
}
