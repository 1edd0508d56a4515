//! What is in the plugin directory, and what became of it.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    auth::Admin,
    body::{Accepted, Json},
    error::{ApiError, Code},
};
use crate::plugin::Entry;

/// Every plugin with its executors, and every file that is refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plugins {
    /// As `longshore plugin list --json` prints them.
    #[schema(value_type = Vec<Object>)]
    plugins: Vec<Entry>,
}

/// Lists the plugins, refused ones included. Admins only: it names files of the host.
#[utoipa::path(
    get, path = "/plugins", tag = "host", operation_id = "list_plugins",
    responses((status = 200, description = "The plugins.", body = Plugins)),
)]
pub(super) async fn list(_: Admin, State(api): State<Arc<Api>>) -> axum::Json<Plugins> {
    axum::Json(Plugins { plugins: api.host.registry.list() })
}

/// Which executors are to try again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    /// An executor, or a plugin: then all its executors.
    name: String,
}

impl Accepted for Release {}

/// Which executors try again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Released {
    /// Their names.
    released: Vec<String>,
}

/// Lets an executor try again that was left alone: one whose process died too often, whose library ended
/// the process that loaded it, or that waits for its next try. Admins only.
#[utoipa::path(
    post, path = "/plugins/release", tag = "host", operation_id = "release_plugin",
    request_body = Release,
    responses(
        (status = 200, description = "They try again.", body = Released),
        (status = 404, description = "`no_such_executor`.", body = super::error::ErrorBody),
    ),
)]
pub(super) async fn release(
    _: Admin,
    State(api): State<Arc<Api>>,
    Json(Release { name }): Json<Release>,
) -> Result<axum::Json<Released>, ApiError> {
    let released = api.host.registry.release(&name);
    if released.is_empty() {
        let known: Vec<_> = api.host.config.executors.keys().map(String::as_str).collect();
        let known = known.join("`, `");
        let message =
            format!("no executor and no executor's plugin is called `{name}`; known are `{known}`");
        return Err(ApiError::new(Code::NoSuchExecutor, message).at("name"));
    }
    Ok(axum::Json(Released { released }))
}
