//! A job as the API shows it.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    clock::millis,
    job::{Job, JobId},
};

/// A job. Times are milliseconds UTC; a field that does not apply is null.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct Shown {
    /// Its id: a UUID.
    pub job_id: String,
    /// Its type.
    #[schema(example = "score_traces")]
    pub job_name: String,
    /// What it was submitted with.
    #[schema(value_type = Option<Object>)]
    pub params: Option<Box<RawValue>>,
    /// `PENDING`, `RUNNING`, `NEEDS_RECOVERY` (it goes on), or an end: `SUCCEEDED`, `FAILED`,
    /// `TIMEOUT`, `CANCELED`.
    #[schema(example = "RUNNING")]
    pub status: &'static str,
    /// What it returned: any JSON value.
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// How many of its attempts were retries.
    pub retry_count: u32,
    /// How long an attempt may take, in seconds.
    pub timeout: f64,
    /// When it was submitted.
    pub creation_time: i64,
    /// When it last changed.
    pub last_update_time: i64,
    /// Its tenant.
    pub workspace: String,
    /// Where it runs.
    pub executor_backend: String,
    /// Which try this is or was; 0 before the first.
    pub attempt: u32,
    /// When that try began.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// What is going on.
    pub status_message: Option<String>,
    /// `phase`, `completed`, `total`, `unit`; any of them may be absent.
    #[schema(value_type = Option<Object>)]
    pub progress: Option<Box<RawValue>>,
    /// When that was said.
    pub progress_updated_at: Option<i64>,
    /// Why it was canceled: `code`, and what belongs to it.
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<Box<RawValue>>,
    /// 1 is first, 4 is last.
    pub priority: u8,
    /// Who submitted it.
    pub creator: String,
    /// Not to be started before.
    pub due_at: i64,
    /// Whether something of it may still run, whatever its status: `none`, `maybe`, `gone`.
    #[schema(example = "gone")]
    pub work: &'static str,
}

impl From<Job> for Shown {
    fn from(job: Job) -> Self {
        let json = |column, text| json(job.id, column, text);
        Self {
            params: json("params", Some(job.params)),
            result: json("result", job.result),
            progress: json("progress", job.progress),
            cancel_reason: json("cancel_reason", job.cancel_reason),
            job_id: job.id.to_string(),
            job_name: job.job_type,
            status: job.state.as_str(),
            error_message: job.error_message,
            retry_count: job.retry_count,
            timeout: job.timeout.as_secs_f64(),
            creation_time: millis(job.created_at),
            last_update_time: millis(job.updated_at),
            workspace: job.workspace,
            executor_backend: job.executor,
            attempt: job.attempt,
            started_at: job.started_at.map(millis),
            finished_at: job.finished_at.map(millis),
            status_message: job.status_message,
            progress_updated_at: job.progress_updated_at.map(millis),
            priority: job.priority,
            creator: job.creator,
            due_at: millis(job.due_at),
            work: job.work.as_str(),
        }
    }
}

/// Stored JSON as it is. What is not JSON is shown as null: one bad row does not break a listing.
pub(super) fn json(
    job: JobId,
    column: &'static str,
    text: Option<String>,
) -> Option<Box<RawValue>> {
    let parsed = RawValue::from_string(text?);
    parsed
        .inspect_err(|error| tracing::error!(%job, column, %error, "stored JSON cannot be read"))
        .ok()
}
