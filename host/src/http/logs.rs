//! What a job's last attempt has written: from the executor while it has the attempt, and the kept end
//! of it afterwards.

mod follow;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use longshore_plugin_api as api;
use longshore_plugin_api::{ErrorKind, LogChunk};
use serde::Deserialize;

use self::follow::{Follow, Until};
use super::{
    Api,
    body::Asked,
    error::{ApiError, Code},
    jobs::visible,
};
use crate::{
    executors::Executors,
    job::Job,
    lifecycle::Work,
    store::{Store, StoreError},
    tokens::Caller,
};

const NEXT_OFFSET: HeaderName = HeaderName::from_static("x-log-next-offset");
const ATTEMPT: HeaderName = HeaderName::from_static("x-log-attempt");
const END: HeaderName = HeaderName::from_static("x-log-end");

/// Which part of the output.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Where to begin, in bytes from the start of the attempt's output; once the attempt is over, from
    /// the start of what was kept.
    offset: u64,
    /// Go on until the job has ended, over retries.
    follow: bool,
    /// Everything that there is now in one answer, also if the attempt ends meanwhile.
    all: bool,
}

/// Reads the output of a job's last attempt.
///
/// `x-log-attempt` says which one that is; earlier ones' output is not kept. Answers at once with at
/// most 256 KiB and says in `x-log-next-offset` where to ask next and in `x-log-end` whether that is
/// all there will be. Offsets begin anew with each attempt, and when one ends: `all=true` reads
/// everything that there is now, `follow=true` goes on until the job has ended, and both cross such
/// ends without a gap. How much there is while an attempt runs, and how much of its end is kept, is
/// the executor's matter.
#[utoipa::path(
    get, path = "/jobs/{id}/logs", tag = "jobs", operation_id = "get_job_logs",
    params(("id" = String, Path, description = "The job's id."), Part),
    responses((status = 200, description = "Output.", body = String, content_type = "text/plain")),
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(Part { offset, follow, all }): Asked<Part>,
) -> Result<Response, ApiError> {
    let job = visible(&api, &caller, &id).await?;
    let text = (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned());
    let source = Source {
        store: api.host.store.clone(),
        executors: Arc::clone(api.host.worker.executors()),
    };
    let attempt = (ATTEMPT, job.attempt.to_string());
    if follow || all {
        let until = if follow { Until::Ended } else { Until::Now };
        let follow = Follow::new(source, &job, offset, until, api.closing.clone());
        return Ok(([text, attempt], Body::from_stream(follow.stream())).into_response());
    }
    let chunk = match source.live(&job, offset).await {
        Ok(Some(chunk)) => chunk,
        Ok(None) if is_live(&job) && !job.state.is_terminal() => nothing(offset),
        // Of a job that has ended there may be something here whatever the executor says.
        Err(error) if !job.state.is_terminal() => {
            tracing::warn!(job = %job.id, executor = job.executor, %error, "no output from the executor");
            let message = format!("executor `{}` does not answer: {error}", job.executor);
            return Err(
                ApiError::new(Code::ExecutorUnavailable, message).about(job.id, Some(job.state))
            );
        }
        Ok(None) | Err(_) => source.kept(&job, offset).await?,
    };
    let next = (NEXT_OFFSET, chunk.next_offset.to_string());
    Ok(([text, attempt, next, (END, chunk.end.to_string())], chunk.text).into_response())
}

/// Whether the executor may have output of its last attempt that the host has not kept. A canceled job
/// has ended before its work has.
fn is_live(job: &Job) -> bool {
    job.tag.is_some() && (!job.state.is_terminal() || job.work == Work::Maybe)
}

fn nothing(offset: u64) -> LogChunk {
    LogChunk { offset, next_offset: offset, ..LogChunk::default() }
}

/// Where output is read.
#[derive(Debug)]
struct Source {
    store: Store,
    executors: Arc<Executors>,
}

impl Source {
    /// Output of the attempt that runs now; `None` where there is none, or none that can be shown.
    async fn live(&self, job: &Job, offset: u64) -> Result<Option<LogChunk>, api::Error> {
        let open = self.executors.get(&job.executor);
        let (Some(tag), Some(open), true) = (job.tag, open, is_live(job)) else { return Ok(None) };
        let attempt = api::Attempt {
            job_id: job.id.to_string(),
            attempt_tag: format!("{tag:x}"),
            handle: job.handle.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        };
        match open.executor.logs(&attempt, offset).await {
            // Not begun, or ended and forgotten: the row will say which.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Unsupported) => {
                Ok(None)
            }
            // The attempt's end is not yet the job's.
            answer => answer.map(|chunk| Some(LogChunk { end: false, ..chunk })),
        }
    }

    /// The kept output of an attempt that is over, from `offset` on.
    async fn kept(&self, job: &Job, offset: u64) -> Result<LogChunk, StoreError> {
        let kept = self.store.job_log_get(job.id).await?.unwrap_or_default();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(kept.len());
        let from = kept.floor_char_boundary(from);
        Ok(LogChunk {
            offset: from as u64,
            next_offset: kept.len() as u64,
            text: kept[from..].to_owned(),
            // A job that waits for its next attempt will write more.
            end: job.state.is_terminal(),
        })
    }
}
