//! What crosses the boundary: jobs, attempts, handles, endings. All of it is JSON on the wire, so
//! that a field can be added in a minor version; unknown fields are ignored by both sides.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Error;

/// One attempt of one job, as `submit` receives it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Job {
    /// The job's id: a UUID in its hyphenated form.
    pub job_id: String,
    /// 128 random bits in hexadecimal, drawn at the claim and kept over reattach. Name containers,
    /// files and everything else that belongs to this attempt by it.
    pub attempt_tag: String,
    /// Which try this is, counted from 1, for people.
    pub attempt: u32,
    /// The configured name of what runs.
    pub job_type: String,
    /// The tenant the job belongs to.
    pub workspace: String,
    /// What to run.
    pub run: Run,
    /// The submitted parameters: a JSON object, as text. Up to 16 MiB.
    pub params: Box<RawValue>,
    /// Time left until the deadline, in seconds, counted from this call; set-up included.
    pub timeout: Seconds,
    /// How long the work may take to stop after it is asked to, before it is killed.
    pub stop_grace: Seconds,
    /// The Python environment a function needs, if the type names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonEnvironment>,
    /// Requests and limits, if the type names any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Full names of the Python exception classes that make a failure transient (exact match).
    #[serde(default)]
    pub transient_errors: Vec<String>,
    /// Where the job finds the host and MLflow.
    #[serde(default)]
    pub context: Context,
    /// The type's own settings for this executor, checked against the plugin's job schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<serde_json::Value>,
}

/// What a job runs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// A Python function by its full name, `package.module:function`; it gets the parameters as
    /// keyword arguments and its return value is the result.
    Function(String),
    /// A program and its arguments. It finds its parameters and where to write its result in files
    /// named by `LONGSHORE_PARAMS` and `LONGSHORE_RESULT`.
    Command(Vec<String>),
}

/// A Python environment, built once per distinct value.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PythonEnvironment {
    /// pip requirement specifiers; no file references.
    pub requirements: Vec<String>,
    /// The package index to resolve them from; the default is pip's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_url: Option<String>,
}

/// Kubernetes-style quantities (`500m`, `1Gi`) by resource name. An executor that cannot enforce them
/// runs the job all the same, and says so in its log.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// What the job asks for.
    pub requests: BTreeMap<String, String>,
    /// What the job may not exceed.
    pub limits: BTreeMap<String, String>,
}

/// Where a job finds the services around it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Context {
    /// The host's own job API, for remote work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// MLflow's tracking URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_uri: Option<String>,
    /// MLflow's gateway URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_uri: Option<String>,
    /// The job's token, for remote executors only. Deliver it by file, never by argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// Text that no `Debug` output shows, and that the host keeps out of its log where it is a setting.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "x-secret": true})
    }
}

/// Names one attempt again after `submit`: in `wait`, `cancel`, `recover`, `logs`,
/// `forget` and `retain`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// The job's id.
    pub job_id: String,
    /// The attempt's tag.
    pub attempt_tag: String,
    /// What `submit` returned, if the host stored it before it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
}

/// What an executor wants back after a host restart. Opaque to the host, at most 64 KiB.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Handle {
    /// The executor's own version of `data`.
    pub version: u32,
    /// Anything.
    pub data: serde_json::Value,
}

/// How the work of an attempt ended. An executor answers with an ending only when it has proof that
/// nothing of the attempt runs any more.
//
// Tagged from outside and never flattened: the other forms of serde buffer what they read, and a
// `RawValue` cannot be read from a buffer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The work returned a result.
    Succeeded {
        /// Any JSON value, as text; `null` where there is none. Up to 16 MiB.
        result: Box<RawValue>,
    },
    /// The work failed.
    Failed {
        /// What went wrong, for people; the last lines of output belong in `log_tail`.
        message: String,
        /// Whether another attempt may succeed.
        #[serde(default)]
        transient: bool,
    },
    /// The deadline ended the work.
    Timeout {
        /// What was going on (set-up or run), for people.
        message: String,
    },
    /// The work was stopped because somebody asked this executor to.
    Canceled {
        /// Who or what, for people.
        message: String,
    },
    /// The work was ended by its surroundings (the host or the machine went away, a fence fell), not
    /// by itself: nothing is known about the job's merit, and it may run again.
    Interrupted {
        /// What ended it, for people.
        message: String,
    },
}

impl Ending {
    /// Success with a result.
    ///
    /// # Errors
    ///
    /// `Internal`, where `result` is not JSON (a map whose keys are not text, say).
    pub fn succeeded(result: &impl Serialize) -> Result<Self, Error> {
        let result = serde_json::value::to_raw_value(result)
            .map_err(|e| Error::internal(format!("the result is not JSON: {e}")))?;
        Ok(Self::Succeeded { result })
    }

    /// A failure that another attempt would repeat.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), transient: false }
    }
}

/// What `wait` answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Ended {
    /// How it ended.
    pub ending: Ending,
    /// The last output of the work, at most 64 KiB; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_tail: String,
}

impl From<Ending> for Ended {
    fn from(ending: Ending) -> Self {
        Self { ending, log_tail: String::new() }
    }
}

/// Whether work of an attempt may exist.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// It may: nothing was proven.
    Maybe,
    /// It does not: proven, not assumed.
    Gone,
}

/// What `recover` says of one attempt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// Which attempt this is about.
    pub attempt_tag: String,
    /// What the executor found.
    pub found: Found,
}

/// What an executor finds when it looks for an attempt after a restart.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// It runs, or it has ended and its evidence is here: `wait` will answer.
    Here,
    /// Proven: nothing of it runs, and no evidence of an ending exists. The host may run it again.
    Gone,
    /// Proven gone, and it must not run again.
    Failed {
        /// Why, for people.
        message: String,
    },
    /// Nothing is proven; the host will ask again.
    Unknown {
        /// What stands in the way, for people.
        message: String,
    },
}

/// How far the work has got; best effort, the latest only.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Progress {
    /// What is going on. An absent field keeps its value, an explicit null clears it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub message: Option<Option<String>>,
    /// Counts. An absent field keeps its value, an explicit null clears it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub progress: Option<Option<Counts>>,
}

/// The countable part of [`Progress`]. Here too an absent field keeps its value, a null clears it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Counts {
    /// The step the work is in.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub phase: Option<Option<String>>,
    /// How many units are done; at most `total`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub completed: Option<Option<u64>>,
    /// How many units there are.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub total: Option<Option<u64>>,
    /// What is counted, in the plural: `traces`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub unit: Option<Option<String>>,
}

fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A piece of an attempt's output.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LogChunk {
    /// Where `text` starts, in bytes from the start of all output. Larger than what was asked for
    /// where older output has been dropped.
    pub offset: u64,
    /// Output from there on; invalid UTF-8 is replaced.
    pub text: String,
    /// Where to ask next.
    pub next_offset: u64,
    /// Whether the work has ended and this is its last output.
    pub end: bool,
}

/// A duration as a number of seconds on the wire.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Seconds(pub f64);

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration.as_secs_f64())
    }
}

impl From<Seconds> for Duration {
    /// Negative and not-a-number count as zero; what is too long for a `Duration` is its maximum.
    fn from(seconds: Seconds) -> Self {
        Self::try_from_secs_f64(seconds.0.max(0.0)).unwrap_or(Self::MAX)
    }
}
