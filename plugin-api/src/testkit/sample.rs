//! What the kit needs to know to use an executor: a configuration, and jobs of a few kinds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Run;

/// How to use an executor. What is not said is the default: no settings, the job `true` and the job
/// `sleep 600`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// `[executors.NAME.config]`.
    pub config: Value,
    /// One that has a mistake. By default a setting of the schema gets a value of another type.
    pub bad_config: Option<Value>,
    /// A job that succeeds within seconds.
    pub quick: JobSpec,
    /// A job that would run for minutes, and can be stopped.
    pub long: JobSpec,
    /// A job that fails within seconds, if there can be one.
    pub failing: Option<JobSpec>,
    /// Whether a job that runs goes on when the executor's process ends, to be found again by the next.
    pub survives: bool,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            config: json!({}),
            bad_config: None,
            quick: JobSpec::command(["true"]),
            long: JobSpec::command(["sleep", "600"]),
            failing: None,
            survives: false,
        }
    }
}

/// A job.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSpec {
    /// A program and its arguments; or
    pub command: Option<Vec<String>>,
    /// a Python function by its full name.
    pub function: Option<String>,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// What its type says to the executor.
    pub options: Option<Value>,
}

impl JobSpec {
    /// A command without parameters.
    #[must_use]
    pub fn command<const N: usize>(words: [&str; N]) -> Self {
        Self { command: Some(words.map(str::to_owned).to_vec()), ..Self::default() }
    }

    /// The same job with this parameter.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// What it runs; a job that names nothing runs `true`.
    pub(super) fn run(&self) -> Run {
        match (&self.function, &self.command) {
            (Some(function), _) => Run::Function(function.clone()),
            (None, Some(command)) => Run::Command(command.clone()),
            (None, None) => Run::Command(vec!["true".to_owned()]),
        }
    }
}
