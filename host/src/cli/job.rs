//! A job as the host shows it, for people.

use std::{fmt::Write as _, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{
    client::{Client, ClientError},
    error::CliError,
    exit::Exit,
    moment::{absolute, span},
    style::{Style, Tone},
};
use crate::{
    job::{CancelReason, JobId},
    lifecycle::State,
};

/// What the commands read of a job's JSON. What a host of another version adds or leaves out does
/// no harm; `--json` passes everything on.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Job {
    pub(super) job_id: String,
    pub(super) job_name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) params: Value,
    #[serde(default)]
    pub(super) result: Value,
    pub(super) error_message: Option<String>,
    #[serde(default)]
    pub(super) attempt: u32,
    #[serde(default)]
    retry_count: u32,
    timeout: Option<f64>,
    pub(super) creation_time: Option<i64>,
    pub(super) due_at: Option<i64>,
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
    pub(super) status_message: Option<String>,
    pub(super) progress: Option<Progress>,
    #[serde(default)]
    pub(super) workspace: String,
    #[serde(default)]
    executor_backend: String,
    creator: Option<String>,
    cancel_reason: Option<Value>,
    work: Option<String>,
}

/// How far it has got. What a job reports is its own matter, so anything may be absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct Progress {
    pub(super) phase: Option<String>,
    pub(super) completed: Option<f64>,
    pub(super) total: Option<f64>,
    pub(super) unit: Option<String>,
}

/// The job, as it is and as it came.
pub(super) fn get(client: &Client, id: JobId) -> Result<(Job, Value), CliError> {
    let value = client.get(&format!("/api/3.0/jobs/{id}"))?;
    Ok((parse(client, &value)?, value))
}

/// The job in an answer.
pub(super) fn parse(client: &Client, value: &Value) -> Result<Job, ClientError> {
    Job::deserialize(value).map_err(|error| ClientError::Foreign {
        url: client.url().to_owned(),
        message: format!("its answer is no job: {error}"),
    })
}

impl Job {
    pub(super) fn has_ended(&self) -> bool {
        State::from_word(&self.status).is_some_and(State::is_terminal)
    }

    /// What a script is told of a job that has ended.
    pub(super) fn exit(&self) -> Exit {
        match State::from_word(&self.status) {
            Some(State::Succeeded) => Exit::Success,
            _ => Exit::Failure,
        }
    }

    /// For how long its last attempt ran, or has run.
    pub(super) fn took(&self) -> Option<Duration> {
        let now = crate::clock::wall_ms();
        let ended = self.finished_at.unwrap_or(now);
        u64::try_from(ended - self.started_at?).ok().map(Duration::from_millis)
    }

    /// Why it ended like this, in one line; nothing for a success.
    pub(super) fn why(&self) -> Option<String> {
        if let Some(error) = &self.error_message {
            return error.lines().next().map(str::to_owned);
        }
        let reason = self.cancel_reason.as_ref()?;
        Some(match CancelReason::deserialize(reason) {
            Ok(CancelReason::Requested { by }) => format!("canceled by {by}"),
            Ok(CancelReason::ExclusiveConflict { holder: Some(holder) }) => {
                format!("job {holder} is running with the same exclusive parameters")
            }
            Ok(CancelReason::ExclusiveConflict { holder: None }) => {
                "another job is running with the same exclusive parameters".to_owned()
            }
            Ok(CancelReason::StoppedByExecutor { message }) => message,
            Err(_) => reason.to_string(),
        })
    }

    /// What is going on, in one line.
    pub(super) fn doing(&self) -> String {
        let progress = self.progress.as_ref().map(Progress::to_string).unwrap_or_default();
        match self.status_message.as_deref().unwrap_or_default() {
            "" => progress,
            message if progress.is_empty() => message.to_owned(),
            message => format!("{progress}  {message}"),
        }
    }

    /// How it ended, in one line.
    pub(super) fn ending(&self, style: Style) -> String {
        let mut line = format!("job {} {}", self.job_id, style.state(&self.status));
        if let Some(took) = self.took() {
            let _ = write!(line, " after {}", span(took));
        }
        if let Some(why) = self.why() {
            let _ = write!(line, ": {why}");
        }
        line
    }

    /// Everything, one line each.
    pub(super) fn sheet(&self, style: Style) -> String {
        let mut sheet = String::new();
        let mut row = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let name = style.paint(Tone::Quiet, format_args!("{name:<12}"));
                // The later lines of a traceback stay below their first.
                let value = value.trim_end().replace('\n', "\n            ");
                let _ = writeln!(sheet, "{name}{value}");
            }
        };
        let json = |value: &Value| (!value.is_null()).then(|| value.to_string());
        let stands = match (self.work.as_deref(), self.has_ended()) {
            (Some("maybe"), true) => {
                format!("{} (something of it may still run)", style.state(&self.status))
            }
            _ => style.state(&self.status),
        };
        let retries = match self.retry_count {
            0 => String::new(),
            1 => " (1 retry)".to_owned(),
            more => format!(" ({more} retries)"),
        };
        let waits = self.due_at.filter(|_| self.status == State::Pending.as_str());
        row("job", Some(self.job_id.clone()));
        row("type", Some(self.job_name.clone()));
        row("status", Some(stands));
        row("doing", Some(self.doing()).filter(|_| !self.has_ended()));
        row("why", self.why().filter(|_| self.error_message.is_none()));
        row("error", self.error_message.clone());
        row("result", json(&self.result));
        row("params", json(&self.params));
        row("workspace", Some(self.workspace.clone()));
        row("creator", self.creator.clone());
        row("executor", Some(self.executor_backend.clone()));
        row("attempt", (self.attempt > 0).then(|| format!("{}{retries}", self.attempt)));
        row("timeout", self.timeout.and_then(|s| Duration::try_from_secs_f64(s).ok()).map(span));
        row("submitted", self.creation_time.map(absolute));
        row("due", waits.map(absolute));
        row("started", self.started_at.map(absolute));
        row("finished", self.finished_at.map(absolute));
        row("took", self.took().filter(|_| self.has_ended()).map(span));
        sheet
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = self.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let counts = match (self.completed, self.total) {
            (Some(completed), Some(total)) => format!("{completed}/{total}{unit}"),
            (Some(completed), None) => format!("{completed}{unit}"),
            _ => String::new(),
        };
        let phase = self.phase.as_deref().unwrap_or_default();
        let between = if phase.is_empty() || counts.is_empty() { "" } else { " " };
        write!(f, "{phase}{between}{counts}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(more: Value) -> Job {
        let mut job = json!({ "job_id": "1", "job_name": "score", "status": "RUNNING" });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Job::deserialize(job).unwrap()
    }

    #[test]
    fn progress_is_said_as_far_as_it_is_known() {
        let doing = |value| job(value).doing();
        assert_eq!(doing(json!({})), "");
        assert_eq!(
            doing(json!({ "progress": { "completed": 3, "total": 8, "unit": "traces" } })),
            "3/8 traces"
        );
        assert_eq!(
            doing(json!({ "progress": { "phase": "scoring", "completed": 3 } })),
            "scoring 3"
        );
        assert_eq!(
            doing(json!({ "progress": { "phase": "scoring" }, "status_message": "slow" })),
            "scoring  slow"
        );
    }

    #[test]
    fn an_ended_job_says_why_in_one_line() {
        let failed = job(json!({ "status": "FAILED", "error_message": "no\nTraceback" }));
        assert_eq!(failed.why().as_deref(), Some("no"));
        assert_eq!(failed.exit(), Exit::Failure);
        let canceled = job(json!({
            "status": "CANCELED", "cancel_reason": { "code": "requested", "by": "admin" },
        }));
        assert_eq!(canceled.why().as_deref(), Some("canceled by admin"));
        assert_eq!(job(json!({ "status": "SUCCEEDED" })).exit(), Exit::Success);
    }

    #[test]
    fn a_state_of_a_newer_host_is_no_end() {
        assert!(!job(json!({ "status": "PAUSED" })).has_ended());
    }
}
