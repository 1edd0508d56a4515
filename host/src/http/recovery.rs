//! What recovery saw and did.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, auth::Admin};
use crate::recovery::Pass;

/// What recovery is at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recovery {
    /// The last pass; null before the first.
    last_pass: Option<Pass>,
}

/// Shows the last recovery pass. Admins only: it counts everybody's jobs.
#[utoipa::path(
    get, path = "/recovery", tag = "host", operation_id = "get_recovery",
    responses((status = 200, description = "The last pass.", body = Recovery)),
)]
pub(super) async fn get(_: Admin, State(api): State<Arc<Api>>) -> axum::Json<Recovery> {
    axum::Json(Recovery { last_pass: api.host.recovery.last_pass() })
}
