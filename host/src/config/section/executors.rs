//! `[plugins]` and `[executors.NAME]`: where jobs run.

use std::{fmt, path::PathBuf};

use serde_json::Value as Json;

use crate::config::{
    kind::{Flag, Word, form::NAME, json::Opaque, path::FilePath},
    reader::Table,
};

/// `[plugins]`.
#[derive(Clone, Debug)]
pub struct Plugins {
    /// The directory with the executors' shared libraries. Defaults to `plugins` beside the file.
    pub dir: PathBuf,
    /// The lock file. Defaults to `plugins.lock` beside the file.
    pub lock: PathBuf,
    /// Whether a plugin must stand in the lock file.
    pub require_pins: bool,
}

/// `[executors.NAME]`.
#[derive(Clone)]
pub struct ExecutorConfig {
    /// The plugin's name. Defaults to the executor's own.
    pub plugin: String,
    /// What stands between the plugin and the host.
    pub isolation: PluginIsolation,
    /// Whether the host refuses to start without it.
    pub required: bool,
    /// The plugin's own settings: a JSON object.
    pub config: Json,
}

/// What stands between a plugin and the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PluginIsolation {
    /// Nothing: it runs in the host's process.
    None,
}

impl Plugins {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        let dir =
            table.key("dir", FilePath).means("Directory with the executors' shared libraries.");
        let lock = table.key("lock", FilePath).means(
            "File with the contents that each plugin may have; `longshore plugin lock` writes it. \
             Pins nothing while it is not there.",
        );
        Self {
            dir: dir.or_described(table.base().join("plugins"), "`\"plugins\"`"),
            lock: lock.or_described(table.base().join("plugins.lock"), "`\"plugins.lock\"`"),
            require_pins: table
                .key("require_pins", Flag)
                .means("Whether a plugin that is not in the lock file is refused.")
                .or(false),
        }
    }
}

impl ExecutorConfig {
    pub(in crate::config) fn read(table: &Table<'_>, name: &str) -> Self {
        table.later(&["job_log_limit"]);
        let isolation = Word {
            words: &[("none", PluginIsolation::None)],
            later: &[(
                "process",
                "write \"none\": the plugin runs in the host's process, so name only plugins that \
                 you trust",
            )],
        };
        Self {
            plugin: table
                .key("plugin", NAME)
                .means("Name of the plugin.")
                .or_described(name.to_owned(), "the executor's own name"),
            isolation: table
                .key("isolation", isolation)
                .means(
                    "What stands between the plugin and the host. `none`: it runs in the host's \
                     process, and a crash of it is a crash of the host.",
                )
                .or(PluginIsolation::None),
            required: table
                .key("required", Flag)
                .means(
                    "Whether the host refuses to start without this executor. The default executor \
                     is always required.",
                )
                .or(false),
            config: table
                .key("config", Opaque)
                .means("The plugin's own settings; `longshore plugin inspect` prints their schema.")
                .or(Json::Object(serde_json::Map::new())),
        }
    }
}

/// Leaves out `config`: the host cannot tell a plugin's secrets from its other settings.
impl fmt::Debug for ExecutorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorConfig")
            .field("plugin", &self.plugin)
            .field("isolation", &self.isolation)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}
