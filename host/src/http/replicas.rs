//! Which hosts share the queue.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, error::ApiError};
use crate::{clock::millis, store::Replica, tokens::Caller};

/// The hosts that have announced themselves, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replicas {
    replicas: Vec<ShownReplica>,
}

/// One host. Times are milliseconds UTC.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replica)]
pub(super) struct ShownReplica {
    /// Its seat, kept over restarts.
    id: String,
    /// This run of it.
    incarnation: String,
    /// Its machine's name.
    hostname: String,
    /// Its version.
    version: String,
    /// The executors that it offers now.
    executors: Vec<String>,
    /// When it started.
    started_at: i64,
    /// When it last said that it lives.
    seen_at: i64,
    /// How many seconds ago that was. A living host says so every few seconds.
    seen_ago: f64,
    /// Whether it is the one that answers.
    this: bool,
}

/// Lists the hosts that share the database.
#[utoipa::path(
    get, path = "/replicas", tag = "host", operation_id = "list_replicas",
    responses((status = 200, description = "The hosts.", body = Replicas)),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _caller: Caller,
) -> Result<axum::Json<Replicas>, ApiError> {
    let own = api.host.identity.id;
    let shown = |replica: Replica| ShownReplica {
        this: replica.id == own,
        id: replica.id.to_string(),
        incarnation: replica.incarnation.to_string(),
        hostname: replica.hostname,
        version: replica.version,
        executors: serde_json::from_str(&replica.executors).unwrap_or_else(|error| {
            tracing::error!(replica = %replica.id, %error, "what it offers cannot be read");
            Vec::new()
        }),
        started_at: millis(replica.started_at),
        seen_at: millis(replica.seen_at),
        seen_ago: std::time::Duration::from_micros(replica.seen_ago_us.max(0).unsigned_abs())
            .as_secs_f64(),
    };
    let replicas = api.host.store.replica_list().await?;
    Ok(axum::Json(Replicas { replicas: replicas.into_iter().map(shown).collect() }))
}
