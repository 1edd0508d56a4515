//! What stands in the payloads that are not the plugin's own.

use std::{borrow::Cow, path::PathBuf, time::Duration};

use longshore_plugin_api::{Error, note::Note, wire::Description};
use serde::{Deserialize, Serialize};

use crate::config::RunnerLimits;
use crate::plugin::problem::{Code, PluginProblem};

/// The protocol, of which there has been one.
pub(super) const PROTOCOL: u32 = 1;
/// What both ends have to be.
pub(super) const BUILD: &str = env!("CARGO_PKG_VERSION");

/// The host's greeting.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Welcome {
    pub(super) protocols: Vec<u32>,
    pub(super) build: String,
    pub(super) limits: RunnerLimits,
    pub(super) run_dir: PathBuf,
}

/// The runner's.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    pub(super) build: String,
    pub(super) pid: u32,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Load<'a> {
    pub(super) copy: PathBuf,
    #[serde(borrow)]
    pub(super) note: Cow<'a, Note<'a>>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Loaded {
    pub(super) description: Description,
    pub(super) took: Duration,
}

/// A log record.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) level: u8,
    pub(super) target: String,
    pub(super) message: String,
    pub(super) fields: String,
    /// How many events have been dropped since the one before.
    pub(super) lost: u64,
}

/// Why a library is not loaded. Whose it is the host knows.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Refusal {
    #[serde(default)]
    code: String,
    message: String,
}

impl From<PluginProblem> for Refusal {
    fn from(problem: PluginProblem) -> Self {
        Self { code: problem.code.as_str().to_owned(), message: problem.message }
    }
}

impl From<Refusal> for PluginProblem {
    fn from(Refusal { code, message }: Refusal) -> Self {
        Self::new(Code::parse(&code).unwrap_or(Code::Load), message)
    }
}

/// An error as the payload of a `Fail`.
pub(super) fn failure(error: &Error) -> String {
    serde_json::to_string(error).unwrap_or_else(|_| {
        // Only details that are no JSON can be in the way.
        let error = Error::new(error.kind, error.message.clone());
        serde_json::to_string(&error).unwrap_or_default()
    })
}
