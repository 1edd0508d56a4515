//! What is in the plugin directory, and what became of it.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, auth::Admin};
use crate::plugin::Entry;

/// Every file of the plugin directory.
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
