//! What a job has written: from the executor while there is something to read there, and the kept
//! end of it afterwards.

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

use self::follow::Follow;
use super::{
    Api,
    body::Asked,
    error::{ApiError, Code},
    jobs::visible,
};
use crate::{
    executors::Executors,
    job::Job,
    store::{Store, StoreError},
    tokens::Caller,
};

const NEXT_OFFSET: HeaderName = HeaderName::from_static("x-log-next-offset");
const END: HeaderName = HeaderName::from_static("x-log-end");

/// Which part of the output.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Where to begin, in bytes from the start of the attempt's output; of a job that has ended, from
    /// the start of what was kept.
    offset: u64,
    /// Go on until the job has ended.
    follow: bool,
}

/// Reads a job's output.
///
/// Answers at once with at most 256 KiB and says in `x-log-next-offset` where to ask next and in
/// `x-log-end` whether that is all there will be. With `follow=true` the answer goes on until the job
/// has ended. Of a job that has ended the last output is kept, at most 64 KiB.
#[utoipa::path(
    get, path = "/jobs/{id}/logs", tag = "jobs", operation_id = "get_job_logs",
    params(("id" = String, Path, description = "The job's id."), Part),
    responses((status = 200, description = "Output.", body = String, content_type = "text/plain")),
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    Asked(Part { offset, follow }): Asked<Part>,
) -> Result<Response, ApiError> {
    let job = visible(&api, &caller, &id).await?;
    let text = (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned());
    let source = Source {
        store: api.host.store.clone(),
        executors: Arc::clone(api.host.worker.executors()),
    };
    if follow {
        let follow = Follow::new(source, &job, offset, api.closing.clone());
        return Ok(([text], Body::from_stream(follow.stream())).into_response());
    }
    let chunk = if job.state.is_terminal() {
        source.kept(&job, offset).await?
    } else {
        source.live(&job, offset).await.map_err(|error| {
            tracing::warn!(job = %job.id, executor = job.executor, %error, "no output from the executor");
            let message = format!("executor `{}` does not answer: {error}", job.executor);
            ApiError::new(Code::ExecutorUnavailable, message).about(job.id, Some(job.state))
        })?
    };
    let headers =
        [text, (NEXT_OFFSET, chunk.next_offset.to_string()), (END, chunk.end.to_string())];
    Ok((headers, chunk.text).into_response())
}

/// Where output is read.
#[derive(Debug)]
struct Source {
    store: Store,
    executors: Arc<Executors>,
}

impl Source {
    /// Output of the attempt that runs now, or nothing where there is none or it cannot be shown.
    async fn live(&self, job: &Job, offset: u64) -> Result<LogChunk, api::Error> {
        let nothing = LogChunk { offset, next_offset: offset, ..LogChunk::default() };
        let (Some(tag), Some(open)) = (job.tag, self.executors.get(&job.executor)) else {
            return Ok(nothing);
        };
        let attempt = api::Attempt {
            job_id: job.id.to_string(),
            attempt_tag: format!("{tag:x}"),
            handle: job.handle.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        };
        match open.executor.logs(&attempt, offset).await {
            // Not begun, or ended and forgotten: the row will say which.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Unsupported) => {
                Ok(nothing)
            }
            // The attempt's end is not yet the job's.
            answer => answer.map(|chunk| LogChunk { end: false, ..chunk }),
        }
    }

    /// The kept output of a job that has ended, from `offset` on.
    async fn kept(&self, job: &Job, offset: u64) -> Result<LogChunk, StoreError> {
        let kept = self.store.job_log_get(job.id).await?.unwrap_or_default();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(kept.len());
        let from = kept.floor_char_boundary(from);
        let text = kept[from..].to_owned();
        Ok(LogChunk { offset: from as u64, next_offset: kept.len() as u64, text, end: true })
    }
}
