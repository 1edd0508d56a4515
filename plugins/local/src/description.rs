//! `job.json`: what of a job is not its parameters. Written for the Python entry point, and read back
//! by us to say what ended.

use std::{collections::BTreeMap, path::Path};

use longshore_plugin_api::{Context, Job, PythonEnvironment, Run, Seconds};
use serde::{Deserialize, Serialize};

use crate::job_file::{self, JobFile};

/// Far above what any job has.
const LIMIT: u64 = 4 * 1024 * 1024;

/// The content of `job.json`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Description {
    pub(crate) job_id: String,
    pub(crate) attempt_tag: String,
    pub(crate) attempt: u32,
    pub(crate) job_type: String,
    pub(crate) workspace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PythonEnvironment>,
    pub(crate) environments_dir: String,
    pub(crate) transient_errors: Vec<String>,
    pub(crate) timeout: Seconds,
    pub(crate) context: Context,
    /// Whose attempt it is, where hosts share a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
}

impl Description {
    pub(crate) fn of(job: &Job, environments: &Path, owner: &str) -> Self {
        let (function, command) = match &job.run {
            Run::Function(name) => (Some(name.clone()), None),
            Run::Command(command) => (None, Some(command.clone())),
        };
        Self {
            job_id: job.job_id.clone(),
            attempt_tag: job.attempt_tag.clone(),
            attempt: job.attempt,
            job_type: job.job_type.clone(),
            workspace: job.workspace.clone(),
            function,
            command,
            python: job.python.clone(),
            environments_dir: environments.display().to_string(),
            transient_errors: job.transient_errors.clone(),
            timeout: job.timeout,
            context: job.context.clone(),
            owner: Some(owner.to_owned()),
        }
    }

    /// Reads it back from an attempt's directory. One that is gone or spoiled is of a job of which
    /// nothing is known; how it ended can still be said.
    pub(crate) fn read(directory: &Path) -> Self {
        let content = match job_file::read(&directory.join("job.json"), LIMIT) {
            JobFile::Content(content) => content,
            JobFile::Missing | JobFile::Refused(_) => Vec::new(),
        };
        serde_json::from_slice(&content).unwrap_or_else(|_| Self::unknown())
    }

    fn unknown() -> Self {
        Self {
            job_id: "unknown".to_owned(),
            attempt_tag: String::new(),
            attempt: 0,
            job_type: "unknown".to_owned(),
            workspace: String::new(),
            function: None,
            command: Some(Vec::new()),
            python: None,
            environments_dir: String::new(),
            transient_errors: Vec::new(),
            timeout: Seconds(0.0),
            context: Context::default(),
            owner: None,
        }
    }

    /// The variables that tell a job where it stands.
    pub(crate) fn variables(&self, directory: &Path) -> BTreeMap<&'static str, String> {
        let file = |name: &str| directory.join(name).display().to_string();
        let mut variables = BTreeMap::from([
            ("LONGSHORE_JOB", file("job.json")),
            ("LONGSHORE_PARAMS", file("params.json")),
            ("LONGSHORE_RESULT", file("result.json")),
            ("LONGSHORE_REPORT", file("report.json")),
            ("LONGSHORE_PROGRESS", file("progress.json")),
            ("LONGSHORE_JOB_ID", self.job_id.clone()),
            ("LONGSHORE_ATTEMPT", self.attempt.to_string()),
            ("LONGSHORE_ATTEMPT_TAG", self.attempt_tag.clone()),
            ("TMPDIR", file("work")),
            // A log that is a buffer behind is of little use to who follows it.
            ("PYTHONUNBUFFERED", "1".to_owned()),
        ]);
        let uris = [
            ("MLFLOW_TRACKING_URI", &self.context.tracking_uri),
            ("MLFLOW_GATEWAY_URI", &self.context.gateway_uri),
        ];
        variables.extend(uris.into_iter().filter_map(|(name, uri)| Some((name, uri.clone()?))));
        variables
    }
}
