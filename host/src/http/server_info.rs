//! What is possible here, for a user interface that wants to offer only that.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, bulk};
use crate::tokens::Caller;

/// What this host can do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerInfo {
    /// `longshore`.
    name: &'static str,
    /// The host's version.
    version: &'static str,
    /// The host that answers.
    replica: String,
    /// For how many seconds it has run.
    uptime: f64,
    /// Whether it has been asked to stop.
    draining: bool,
    /// The executors by name.
    executors: Vec<String>,
    /// Where a type goes that names no executor.
    default_executor: Option<String>,
    /// Whether jobs may name models by provider: true where the default executor runs them beside
    /// the host, where they can reach what the host can. Elsewhere they need a gateway.
    direct_model_usage: bool,
    /// Whether custom code is accepted as a parameter.
    custom_code: bool,
    /// Sizes that are refused beyond.
    limits: Limits,
}

/// Sizes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Limits {
    /// The largest parameters of a job, in bytes.
    params: usize,
    /// The largest result of a job, in bytes.
    result: usize,
    /// The most jobs in one bulk submission.
    bulk_jobs: usize,
}

/// Tells what this host can do.
#[utoipa::path(
    get, path = "/server-info", tag = "host", operation_id = "get_server_info",
    responses((status = 200, description = "What is possible.", body = ServerInfo)),
)]
pub(super) async fn get(State(api): State<Arc<Api>>, _caller: Caller) -> axum::Json<ServerInfo> {
    let host = &api.host;
    let default_executor = host.config.routing.default_executor.clone();
    let default = default_executor.as_deref().and_then(|name| host.worker.executors().get(name));
    axum::Json(ServerInfo {
        name: "longshore",
        version: env!("CARGO_PKG_VERSION"),
        replica: host.identity.id.to_string(),
        uptime: host.uptime().as_secs_f64(),
        draining: host.is_draining(),
        executors: host.config.executors.keys().cloned().collect(),
        direct_model_usage: default
            .and_then(|open| open.facts())
            .is_some_and(|facts| !facts.remote_execution),
        default_executor,
        custom_code: false,
        limits: Limits {
            params: host.config.limits.params,
            result: host.config.limits.result,
            bulk_jobs: bulk::MOST,
        },
    })
}
