//! Many jobs in one transaction: all of them or none.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    body::{Accepted, Json, limit_of},
    error::{ApiError, Code},
};
use crate::{config::Limits, store::Submitted, submission::Submission, tokens::Caller};

/// So many jobs in one call: what one transaction can hold without keeping others waiting.
pub(super) const MOST: usize = 10_000;
/// A body may hold so many times the largest parameters.
const BODIES: usize = 4;

/// Several submissions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bulk {
    /// The submissions, at least one and at most 10,000; together four times `limits.params`.
    #[schema(min_items = 1, max_items = 10_000)]
    jobs: Vec<Submission>,
}

impl Accepted for Bulk {
    fn limit(limits: &Limits) -> usize {
        limit_of(limits, BODIES)
    }
}

/// The jobs, in the order of the submissions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BulkAnswer {
    jobs: Vec<BulkJob>,
}

/// What became of one submission.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BulkJob {
    /// The job.
    job_id: String,
    /// False if its idempotency key had a job already: this one.
    created: bool,
}

/// Submits several jobs, all or none.
///
/// A refusal names the first submission that is wrong (`jobs[3].params`), and nothing is stored.
#[utoipa::path(
    post, path = "/jobs/bulk", tag = "jobs", operation_id = "submit_jobs", request_body = Bulk,
    responses((status = 200, description = "The jobs.", body = BulkAnswer)),
)]
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(Bulk { jobs }): Json<Bulk>,
) -> Result<axum::Json<BulkAnswer>, ApiError> {
    if !(1..=MOST).contains(&jobs.len()) {
        let message = format!("expected 1 to {MOST} jobs, got {}", jobs.len());
        return Err(ApiError::new(Code::InvalidField, message).at("jobs"));
    }
    let submitted = api.host.submit(&caller, jobs).await;
    let submitted = submitted.map_err(|rejection| ApiError::refused(rejection, true))?;
    let job = |submitted: Submitted| BulkJob {
        job_id: submitted.id().to_string(),
        created: matches!(submitted, Submitted::New(_)),
    };
    Ok(axum::Json(BulkAnswer { jobs: submitted.into_iter().map(job).collect() }))
}
