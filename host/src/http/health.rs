//! Whether the host lives, and whether it should be sent work. Asked without a token, so it tells
//! no more than that.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;

/// A database that takes longer than this to tell the time is not one to send work to.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the host is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Whether it is well.
    ok: bool,
    /// What is wrong: `draining`, `storage`, or the loops that have died.
    problems: Vec<&'static str>,
}

/// Whether the host lives. If not, it should be restarted.
#[utoipa::path(
    get, path = "/health/live", tag = "health", operation_id = "health_live",
    responses((status = 200, description = "It lives.", body = Health), (status = 503, description = "One of its loops has died.", body = Health)),
)]
pub(super) async fn live(State(api): State<Arc<Api>>) -> Response {
    answer(api.host.dead_services())
}

/// Whether the host takes jobs.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", operation_id = "health_ready",
    responses((status = 200, description = "It takes jobs.", body = Health), (status = 503, description = "It does not.", body = Health)),
)]
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let mut problems = api.host.dead_services();
    if api.host.is_draining() {
        problems.push("draining");
    }
    if !matches!(tokio::time::timeout(PATIENCE, api.host.store.clock_read()).await, Ok(Ok(_))) {
        problems.push("storage");
    }
    answer(problems)
}

fn answer(problems: Vec<&'static str>) -> Response {
    let ok = problems.is_empty();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Health { ok, problems })).into_response()
}
