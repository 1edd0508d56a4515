//! Jobs by what they are: decided in SQL, newest first, a page at a time.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    body::{Accepted, Json},
    error::{ApiError, Code},
    shown::Shown,
};
use crate::{
    job::{Job, JobId},
    lifecycle::State as JobState,
    store::{Filter, Page},
    tokens::Caller,
};

const USUAL: u32 = 100;
const MOST: u32 = 1000;
/// A page ends early with the job that takes it over so many bytes: a thousand jobs may hold 32 GiB, and
/// a client takes so much at once from nobody.
const ENOUGH: usize = 8 << 20;
/// So many jobs are read at once: those behind the end of the page are read again.
const AT_ONCE: u32 = 10;

/// What to look for; an absent field is any.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Search {
    /// Only of this type.
    job_name: Option<String>,
    /// Only with these values of these parameters.
    #[schema(value_type = Option<Object>)]
    params: Option<serde_json::Map<String, serde_json::Value>>,
    /// Only in one of these states.
    statuses: Option<Vec<String>>,
    /// Only of this tenant.
    workspace: Option<String>,
    /// At most so many jobs. A page ends early when its jobs are large.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    max_results: Option<u32>,
    /// `next_page_token` of the page before, with everything else the same.
    page_token: Option<String>,
}

impl Accepted for Search {}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// The jobs. Fewer than asked for does not mean that these are the last.
    jobs: Vec<Shown>,
    /// Where the next page starts; null on the last one.
    next_page_token: Option<String>,
}

/// Searches jobs.
///
/// An admin sees every job, everybody else their own.
#[utoipa::path(
    post, path = "/jobs/search", tag = "jobs", operation_id = "search_jobs", request_body = Search,
    responses((status = 200, description = "A page of jobs.", body = Found)),
)]
pub(super) async fn search(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Json(search): Json<Search>,
) -> Result<axum::Json<Found>, ApiError> {
    let wanted = search.max_results.unwrap_or(USUAL);
    let mut filter = filter(search, &caller)?;
    if !(1..=MOST).contains(&wanted) {
        let message = format!("expected 1 to {MOST}, got {wanted}");
        return Err(ApiError::new(Code::InvalidField, message).at("max_results"));
    }
    let (mut jobs, mut bytes) = (Vec::new(), 0);
    let next = 'page: loop {
        // `jobs` is never longer than `wanted`, which is a u32.
        filter.limit = (wanted - u32::try_from(jobs.len()).unwrap_or(wanted)).min(AT_ONCE);
        let Page { jobs: read, next } = api.host.store.job_list(&filter).await?;
        let mut read = read.into_iter().peekable();
        while let Some(job) = read.next() {
            let id = job.id;
            bytes += size(&job);
            jobs.push(Shown::from(job));
            if bytes >= ENOUGH && read.peek().is_some() {
                break 'page Some(id);
            }
        }
        if next.is_none() || jobs.len() >= wanted as usize || bytes >= ENOUGH {
            break next;
        }
        filter.before = next;
    };
    Ok(axum::Json(Found { jobs, next_page_token: next.map(|id| id.0.simple().to_string()) }))
}

fn filter(search: Search, caller: &Caller) -> Result<Filter, ApiError> {
    let states =
        search.statuses.unwrap_or_default().into_iter().enumerate().map(|(index, word)| {
            JobState::from_word(&word).ok_or_else(|| {
                let known = JobState::ALL.map(JobState::as_str).join(", ");
                ApiError::new(Code::InvalidField, format!("expected one of {known}, got `{word}`"))
                    .at(format!("statuses[{index}]"))
            })
        });
    let before = search.page_token.map(|token| {
        token.parse::<JobId>().map_err(|_| {
            let message = "expected the `next_page_token` of another page";
            ApiError::new(Code::InvalidPageToken, message).at("page_token")
        })
    });
    Ok(Filter {
        creator: (!caller.is_admin()).then(|| caller.name.clone()),
        job_type: search.job_name,
        workspace: search.workspace,
        states: states.collect::<Result<_, _>>()?,
        params: search.params.unwrap_or_default().into_iter().collect(),
        before: before.transpose()?,
        limit: 0,
    })
}

fn size(job: &Job) -> usize {
    job.params.len() + job.result.as_ref().map_or(0, String::len)
}
