//! One job: submit, look, cancel, fetch the result.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{
    Api,
    body::{Accepted, Json, limit_of},
    error::{ApiError, Code},
    shown::{Shown, json},
};
use crate::{
    config::Limits,
    job::{CancelReason, Job, JobId},
    lifecycle::State as JobState,
    submission::Submission,
    tokens::Caller,
};

impl Accepted for Submission {
    fn limit(limits: &Limits) -> usize {
        limit_of(limits, 1)
    }
}

/// Submits a job.
///
/// Answers when the job is stored. A second submission with the same `idempotency_key` and content
/// answers with the first job.
//
// 200, not 201: MLflow's clients take every other status for a failure.
#[utoipa::path(
    post, path = "/jobs/", tag = "jobs", operation_id = "submit_job", request_body = Submission,
    responses(
        (status = 200, description = "The job.", body = Shown),
        (status = 202, description = "`accepted_unread`: the job is stored, but cannot be shown now.", body = super::error::ErrorBody),
    ),
)]
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(submission): Json<Submission>,
) -> Result<axum::Json<Shown>, ApiError> {
    let submitted = api.host.submit(&caller, vec![submission]).await;
    let submitted = submitted.map_err(|rejection| ApiError::refused(rejection, false))?;
    let id = submitted.first().ok_or_else(ApiError::internal)?.id();
    // It is stored: whatever happens from here on must not look like a refusal, or like something
    // that a client repeats by itself (as MLflow's do after every 5xx).
    match api.host.store.job_get(id).await {
        Ok(Some(job)) => Ok(axum::Json(job.into())),
        _ => Err(ApiError::new(
            Code::AcceptedUnread,
            format!("job {id} is stored, but cannot be read back now; do not submit it again"),
        )
        .about(id, None)),
    }
}

/// Shows a job.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs", operation_id = "get_job", params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = Shown)),
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<Shown>, ApiError> {
    Ok(axum::Json(visible(&api, &caller, &id).await?.into()))
}

/// Cancels a job.
///
/// The job is CANCELED when this answers; what still runs of it is stopped afterwards (`work` says
/// how far that is). Canceling a canceled job again changes nothing.
#[utoipa::path(
    patch, path = "/jobs/cancel/{id}", tag = "jobs", operation_id = "cancel_job", params(("id" = String, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The canceled job.", body = Shown),
        (status = 409, description = "`already_finished`: it has ended otherwise.", body = super::error::ErrorBody),
    ),
)]
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<Shown>, ApiError> {
    let job = visible(&api, &caller, &id).await?;
    let reason = CancelReason::Requested { by: caller.name.clone() };
    let worker = Arc::clone(&api.host.worker);
    // On its own: a client that goes away now must not cut it off between the row and the attempt.
    let canceled = tokio::spawn(async move { worker.cancel(job.id, &reason).await });
    // Nothing written means that it had ended, perhaps since it was read: either way the row knows.
    let _ = canceled.await.map_err(|_| ApiError::internal())??;
    let job = visible(&api, &caller, &id).await?;
    if job.state == JobState::Canceled {
        return Ok(axum::Json(job.into()));
    }
    let message = format!("job {} has ended: {}", job.id, job.state);
    Err(ApiError::new(Code::AlreadyFinished, message).about(job.id, Some(job.state)))
}

/// Fetches a job's result, and nothing else.
#[utoipa::path(
    get, path = "/jobs/{id}/result", tag = "jobs", operation_id = "get_job_result", params(("id" = String, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "What the job returned: any JSON value.", body = serde_json::Value),
        (status = 404, description = "`no_result`: it has ended without one; `message` says why.", body = super::error::ErrorBody),
        (status = 409, description = "`not_finished`.", body = super::error::ErrorBody),
    ),
)]
pub(super) async fn result(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let job = visible(&api, &caller, &id).await?;
    let (id, state) = (job.id, job.state);
    if state == JobState::Succeeded {
        let result = json(id, "result", job.result).ok_or_else(ApiError::internal)?;
        let text = Box::<str>::from(result).into_string();
        return Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response());
    }
    let error = if state.is_terminal() {
        let why = job.error_message.or_else(|| job.cancel_reason.as_deref().map(canceled));
        let why = why.unwrap_or_else(|| "nothing says why".to_owned());
        ApiError::new(
            Code::NoResult,
            format!("job {id} has ended as {state} without a result: {why}"),
        )
    } else {
        ApiError::new(Code::NotFinished, format!("job {id} has not ended: {state}"))
    };
    Err(error.about(id, Some(state)))
}

/// A stored reason, for people.
fn canceled(reason: &str) -> String {
    match serde_json::from_str(reason) {
        Ok(CancelReason::Requested { by }) => format!("`{by}` canceled it"),
        Ok(CancelReason::ExclusiveConflict { holder: Some(holder) }) => {
            format!("job {holder} was running with the same exclusive parameters")
        }
        Ok(CancelReason::ExclusiveConflict { holder: None }) => {
            "another job was running with the same exclusive parameters".to_owned()
        }
        Ok(CancelReason::StoppedByExecutor { message }) => {
            format!("its executor stopped it: {message}")
        }
        Err(_) => reason.to_owned(),
    }
}

/// The job of that id, if the caller may see it. What is no id is no job.
pub(super) async fn visible(api: &Api, caller: &Caller, id: &str) -> Result<Job, ApiError> {
    let job = match id.parse::<JobId>() {
        Ok(id) => api.host.store.job_get(id).await?,
        Err(_) => None,
    };
    job.filter(|job| caller.is_admin() || job.creator == caller.name)
        .ok_or_else(|| ApiError::no_such_job(id))
}
