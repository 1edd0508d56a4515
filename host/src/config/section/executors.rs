//! `[executors.NAME]`: where jobs run.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::config::{
    kind::{
        Count, Flag, List, Word,
        form::{ENVIRONMENT_VARIABLE, NAME},
        json::Opaque,
        measure::{Period, Size},
    },
    period::show,
    reader::Table,
};

/// `[executors.NAME]`.
#[derive(Clone)]
pub struct ExecutorConfig {
    /// The plugin's name. Defaults to the executor's own.
    pub plugin: String,
    /// What stands between the plugin and the host.
    pub isolation: PluginIsolation,
    /// Whether the host refuses to start without it.
    pub required: bool,
    /// The variables of the host's environment that its process gets beside the usual ones.
    pub pass_env: Vec<String>,
    /// What its process may use.
    pub limits: RunnerLimits,
    /// What happens after its process has died.
    pub restart: Restart,
    /// How long it may take to answer.
    pub deadlines: Deadlines,
    /// The plugin's own settings: a JSON object.
    pub config: Json,
}

/// What stands between a plugin and the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginIsolation {
    /// A process of its own.
    Process,
    /// Nothing: it runs in the host's process.
    None,
}

/// `[executors.NAME.limits]`: what a plugin's process may use. Soft limits: they keep a fault small,
/// they do not hold malice.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RunnerLimits {
    /// The most memory that it may ask for, in bytes. Defaults to 2 GiB.
    pub memory: usize,
    /// The most files that it may have open; absent means as many as the host.
    pub open_files: Option<u32>,
    /// Whether it leaves a core file when it crashes. Defaults to false.
    pub core: bool,
}

/// `[executors.NAME.restart]`: what happens after a plugin's process has died.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Restart {
    /// The wait after the first death; doubled for each one after it. Defaults to 1 s.
    pub base_delay: Duration,
    /// The longest wait. Defaults to 60 s.
    pub max_delay: Duration,
    /// After how many deaths within `window` it is left alone. Defaults to 5.
    pub quarantine_after: u32,
    /// For how long a death counts. Defaults to 10 min.
    pub window: Duration,
}

impl Default for RunnerLimits {
    fn default() -> Self {
        Self { memory: 2 << 30, open_files: None, core: false }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            quarantine_after: 5,
            window: Duration::from_secs(600),
        }
    }
}

impl ExecutorConfig {
    /// An executor of that plugin with nothing but its own settings.
    #[must_use]
    pub fn of(plugin: impl Into<String>, isolation: PluginIsolation, config: Json) -> Self {
        Self {
            plugin: plugin.into(),
            isolation,
            required: false,
            pass_env: Vec::new(),
            limits: RunnerLimits::default(),
            restart: Restart::default(),
            deadlines: Deadlines::default(),
            config,
        }
    }

    pub(in crate::config) fn read(table: &Table<'_>, name: &str) -> Self {
        table.later(&["job_log_limit"]);
        let isolation = Word {
            words: &[("process", PluginIsolation::Process), ("none", PluginIsolation::None)],
            later: &[],
        };
        Self {
            plugin: table
                .key("plugin", NAME)
                .means("Name of the plugin.")
                .or_described(name.to_owned(), "the executor's own name"),
            isolation: table
                .key("isolation", isolation)
                .means(
                    "What stands between the plugin and the host. `process`: it runs in a process of \
                     its own, and the host goes on whatever becomes of that. `none`: it runs in the \
                     host's process, which is faster, and a crash of it is a crash of the host.",
                )
                .or(PluginIsolation::Process),
            required: table
                .key("required", Flag)
                .means(
                    "Whether the host refuses to start without this executor. The default executor \
                     is always required.",
                )
                .or(false),
            pass_env: table
                .key("pass_env", List::of(ENVIRONMENT_VARIABLE))
                .means(
                    "Variables of the host's environment that the plugin's process gets beside \
                     `PATH`, `HOME`, the locale, proxies and certificates. A `*` at the end stands \
                     for anything.",
                )
                .or(Vec::new()),
            limits: table.section(
                "limits",
                "What the plugin's process may use.",
                RunnerLimits::read,
            ),
            restart: table.section(
                "restart",
                "What happens after the plugin's process has died.",
                Restart::read,
            ),
            deadlines: table.section(
                "deadlines",
                "How long the plugin may take to answer before it counts as hung.",
                Deadlines::read,
            ),
            config: table
                .key("config", Opaque)
                .means("The plugin's own settings; `longshore plugin inspect` prints their schema.")
                .or(Json::Object(serde_json::Map::new())),
        }
    }
}

impl RunnerLimits {
    fn read(table: &Table<'_>) -> Self {
        let default = Self::default();
        Self {
            memory: table
                .key("memory", Size { most: 1 << 40 })
                .means("The most memory that it may ask for. Its jobs are not limited by it.")
                .or(default.memory),
            open_files: table
                .key("open_files", Count { least: 64, most: 1 << 20 })
                .means("The most files that it may have open.")
                .optional_or("as many as the host"),
            core: table
                .key("core", Flag)
                .means("Whether it leaves a core file when it crashes.")
                .or(default.core),
        }
    }
}

impl Restart {
    fn read(table: &Table<'_>) -> Self {
        let default = Self::default();
        let restart = Self {
            base_delay: table
                .key("base_delay", Period::POSITIVE)
                .means("The wait after the first death; doubled for each one after it.")
                .or(default.base_delay),
            max_delay: table
                .key("max_delay", Period::POSITIVE)
                .means("The longest wait.")
                .or(default.max_delay),
            quarantine_after: table
                .key("quarantine_after", Count { least: 1, most: 1_000_000 })
                .means(
                    "After how many deaths within `window`, with no job ended between them, the \
                     plugin is left alone until another file takes its place or `longshore plugin \
                     release` lets it try again. The deaths of one job that ran alone count once.",
                )
                .or(default.quarantine_after),
            window: table
                .key("window", Period::POSITIVE)
                .means("For how long a death counts.")
                .or(default.window),
        };
        if restart.base_delay > restart.max_delay {
            let (base, max) = (show(restart.base_delay), show(restart.max_delay));
            table.conflict(
                None,
                format!(
                    "expected `base_delay` to be at most `max_delay`, got \"{base}\" and \"{max}\""
                ),
            );
        }
        restart
    }
}

macro_rules! deadlines {
    ($($(#[$doc:meta])+ $name:ident = $seconds:literal, $means:literal;)+) => {
        /// `[executors.NAME.deadlines]`: how long a plugin may take to answer before it counts as
        /// hung. `submit` and `wait` have none: set-up and work take as long as the job may.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct Deadlines {
            $($(#[$doc])+ pub $name: Duration,)+
        }

        impl Default for Deadlines {
            fn default() -> Self {
                Self { $($name: Duration::from_secs($seconds),)+ }
            }
        }

        impl Deadlines {
            fn read(table: &Table<'_>) -> Self {
                let default = Self::default();
                Self {
                    $($name: table
                        .key(stringify!($name), Period::POSITIVE)
                        .means($means)
                        .or(default.$name),)+
                }
            }
        }
    };
}

deadlines! {
    /// Loading and `describe`. Defaults to 10 s.
    load = 10, "Loading the library.";
    /// `open` and `facts`. Defaults to 10 s.
    open = 10, "Making the executor of its settings.";
    /// `check_requirements`. Defaults to 30 s.
    check_requirements = 30, "Finding out whether it can work here.";
    /// `start`. Defaults to 60 s.
    start = 60, "Getting ready.";
    /// `locality`. Defaults to 5 s.
    locality = 5, "Saying where work would be.";
    /// `validate_job`. Defaults to 5 s.
    validate_job = 5, "Saying whether a job can run here.";
    /// `recover`. Defaults to 60 s.
    recover = 60, "Looking for work of an earlier process.";
    /// `forget`. Defaults to 60 s.
    forget = 60, "Removing what is left of an attempt.";
    /// `retain`. Defaults to 60 s.
    retain = 60, "Removing what is left of attempts that nobody knows any more.";
    /// `logs`. Defaults to 10 s.
    logs = 10, "Reading output of an attempt.";
    /// `health`. Defaults to 5 s.
    health = 5, "Saying whether jobs can run now.";
    /// What is added to a grace that the plugin was given. Defaults to 10 s.
    margin = 10, "What is added to the grace that `cancel` and `stop` are given.";
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
