//! What the verbs say: one name and one JSON payload each. A verb may be added, and a field to a
//! payload; neither is ever taken away in 1.x.
//
// Generic over how an attempt is held, so that a host writes a reference and a plugin reads a value.
// No `flatten`, no internal tags: they buffer, and a `RawValue` cannot be read from a buffer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::Seconds;

macro_rules! verbs {
    ($($(#[$doc:meta])+ $verb:ident = $name:literal;)+) => {
        /// What can be asked of an executor.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Verb { $($(#[$doc])+ $verb,)+ }

        impl Verb {
            /// Every verb.
            pub const ALL: &'static [Self] = &[$(Self::$verb),+];

            /// Its name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$verb => $name,)+ }
            }

            /// The verb of that name, if this version knows it.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$verb),)+ _ => None }
            }
        }
    };
}

verbs! {
    /// Payload: a [`Job`](crate::Job); answer: a [`Handle`](crate::Handle) or null.
    Submit = "submit";
    /// Payload: an [`Attempt`](crate::Attempt); answer: [`Ended`](crate::Ended).
    Wait = "wait";
    /// Payload: [`Cancel`]; answer: [`Work`](crate::Work).
    Cancel = "cancel";
    /// Payload: a list of attempts; answer: a list of [`Verdict`](crate::Verdict)s.
    Recover = "recover";
    /// Payload: an attempt; answer: null.
    Forget = "forget";
    /// Payload: a list of attempts; answer: null.
    Retain = "retain";
    /// Payload: [`Logs`]; answer: a [`LogChunk`](crate::LogChunk).
    Logs = "logs";
    /// Payload and answer: null.
    Health = "health";
    /// Payload and answer: null.
    CheckRequirements = "check_requirements";
    /// Payload and answer: null.
    Start = "start";
    /// Payload: [`Stop`]; answer: null.
    Stop = "stop";
    /// Payload: a [`JobShape`](crate::JobShape); answer: null. May be asked or called.
    ValidateJob = "validate_job";
    /// Payload: null; answer: [`Facts`](crate::Facts). May be asked or called.
    Facts = "facts";
    /// Payload: null; answer: text or null. May be asked or called.
    Locality = "locality";
}

/// Payload of [`Verb::Cancel`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Cancel<A> {
    /// Whose work to stop.
    pub attempt: A,
    /// How long to wait before force.
    pub grace: Seconds,
}

/// Payload of [`Verb::Logs`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Logs<A> {
    /// Whose output to read.
    pub attempt: A,
    /// From where, in bytes.
    pub offset: u64,
}

/// Payload of [`Verb::Stop`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Stop {
    /// How long it may take.
    pub grace: Seconds,
}

/// What a plugin may tell its host, by `HostApi::tell`.
pub mod tell {
    /// Payload: [`Progress`](super::Progress).
    pub const PROGRESS: &str = "progress";
}

/// Payload of [`tell::PROGRESS`].
#[derive(Debug, Deserialize, Serialize)]
pub struct Progress<P = crate::Progress> {
    /// Whose work it is.
    pub attempt_tag: String,
    /// How far it has got.
    pub progress: P,
}

/// What `open` is given.
#[derive(Debug, Deserialize, Serialize)]
pub struct Open<C = Box<RawValue>> {
    /// The configured name of the executor.
    pub executor: String,
    /// `[executors.NAME.config]`; an empty object where there is none.
    pub config: C,
    /// The most verbose level that the host keeps: `off`, `error`, `warn`, `info`, `debug`, `trace`.
    pub log_level: String,
    /// A directory that is this executor's alone, kept over restarts; it may have to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// What relative paths in `config` are relative to: where the configuration file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_dir: Option<PathBuf>,
    /// What processes that are started for jobs should be allowed again, where this one is allowed less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_limits: Option<SoftLimits>,
}

/// Soft limits of a process, as of `setrlimit`; none where there is no limit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct SoftLimits {
    /// Bytes of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<u64>,
    /// Open files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Bytes of a core file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<u64>,
}

/// What `describe` answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Description {
    /// The plugin's name; also in the note.
    pub name: String,
    /// The plugin's version; also in the note.
    pub version: String,
    /// Who made it; also in the note.
    #[serde(default)]
    pub vendor: String,
    /// One line on what it does.
    #[serde(default)]
    pub description: String,
    /// The API it was built with: `MAJOR.MINOR`.
    pub api: String,
    /// JSON Schema of the executor's configuration.
    pub config_schema: Value,
    /// JSON Schema of a job type's options; none where options are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options_schema: Option<Value>,
}
