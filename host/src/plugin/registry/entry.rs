//! What an operator sees of the registry.

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    config::PluginIsolation,
    plugin::{PluginProblem, Standing, problem::shown},
};

/// A plugin, or a file that could not be one.
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
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// What became of it.
    pub state: State,
    /// Since when; milliseconds UTC.
    pub since: i64,
    /// Why it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<PluginProblem>,
    /// The executors that are made of it, or were and still have jobs.
    pub executors: Vec<ExecutorEntry>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not used, and there is a problem to say why.
    Refused,
    /// It could be used, as far as can be told without running it.
    Found,
    /// Executors are made of it.
    Used,
    /// Executors want it, and it is not there.
    Absent,
}

/// One version of one executor.
#[derive(Clone, Debug, Serialize)]
pub struct ExecutorEntry {
    /// Its configured name.
    pub name: String,
    /// The version of its plugin.
    pub version: Option<String>,
    /// SHA-256 of what runs, in hexadecimal.
    pub digest: Option<String>,
    /// What stands between the plugin and the host.
    pub isolation: PluginIsolation,
    /// How it stands.
    pub standing: Standing,
    /// The process that it runs in, if that is not the host's.
    pub pid: Option<u32>,
    /// Since when it stands so; milliseconds UTC.
    pub since: i64,
    /// How many jobs it has.
    pub jobs: usize,
    /// How often its process has died, as far as that counts.
    pub deaths: usize,
    /// What last went wrong; it may be over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<PluginProblem>,
}
